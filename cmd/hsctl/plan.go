package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

func (a *app) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan DIR",
		Short: "Say what another configuration would start, stop and restart now",
		Long: `Asks the daemon for all that it knows, and works out what would follow if the
rules and services in DIR, laid out as for ` + "`hsctl check DIR`" + `, were in force from now
on. Nothing is started or stopped. The order is the one in which it would happen,
if every service came up and went down at once, with what is due within a minute,
as the settle of a new rule. What would happen anyway is left out.`,
		Example: `  hsctl plan ./router && cp -r router/* /etc/hotsvc && hsctl reload`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("plan: of which directory? one with rules.d and services in it")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.plan(args[0]) },
	}
}

// planned is what would happen to a service.
type planned struct {
	Service string `json:"service"`
	Action  string `json:"action"` // start, stop, restart
	Reason  string `json:"reason"`
}

func (a *app) plan(dir string) error {
	p, was, err := a.snapshot()
	if err != nil {
		return err
	}
	conf, err := a.otherConfig("plan", dir, was)
	if err != nil {
		return err
	}
	same, err := p.Core(was)
	if err != nil {
		return err
	}
	other, err := p.Core(was)
	if err != nil {
		return err
	}
	plans := []planned{}
	at := map[string]int{}
	for _, e := range engine.Foresee(p.Heading.Now, same, other, conf) {
		action := ""
		switch {
		case e.Kind == engine.EffectSpawn && e.Command == service.CommandMain:
			action = "start"
		case e.Kind == engine.EffectTerm, e.Kind == engine.EffectSpawn && e.Command == service.CommandUndo:
			action = "stop"
		default:
			continue
		}
		i, known := at[e.Service]
		switch {
		case !known:
			at[e.Service] = len(plans)
			plans = append(plans, planned{e.Service, action, e.Reason})
		case plans[i].Action == "stop" && action == "start":
			plans[i].Action, plans[i].Reason = "restart", e.Reason
		}
	}
	if a.json {
		return a.printJSON(plans)
	}
	for _, p := range plans {
		fmt.Fprintf(a.out, "%-8s %s%s\n", p.Action, clean(p.Service), clean(prefixed(": ", p.Reason)))
	}
	if len(plans) == 0 {
		fmt.Fprintln(a.out, "nothing would be started, stopped or restarted")
	}
	return nil
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

var errEnough = errors.New("enough")

// snapshot is the beginning of a journal, which is all that the daemon knows, and
// the configuration in force.
func (a *app) snapshot() (*engine.Player, *config.Config, error) {
	var text bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), control.AnswerTime)
	defer cancel()
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	err = c.Record(ctx, func(piece string) error {
		text.WriteString(piece)
		if bytes.IndexByte(text.Bytes(), '\n') >= 0 {
			return errEnough
		}
		return nil
	})
	p, bad := engine.NewPlayer(&text)
	if bad != nil {
		return nil, nil, err // the daemon's, which says more
	}
	conf, err := p.Config()
	if err != nil {
		return nil, nil, fmt.Errorf("what the daemon answers cannot be used: %w", err)
	}
	return p, conf, nil
}
