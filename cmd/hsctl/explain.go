package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// hint answers a verb that people know from elsewhere.
type hint struct {
	verb string
	text string // {} stands for what follows the verb
}

var hints = []hint{
	{"enable", "rules decide what runs; for always: start_at_boot = true in the service file of {}"},
	{"disable", "rules decide what runs: `hsctl why {}` names the rule; `hsctl block {}` keeps it down until the next boot"},
	{"mask", "an empty file masks a service: `touch /etc/hotsvc/services/{}.toml`, then `hsctl reload`; until the next boot: `hsctl block {}`"},
	{"unmask", "remove the empty file /etc/hotsvc/services/{}.toml, then `hsctl reload`; or did you mean `hsctl unblock {}`?"},
	{"daemon-reload", "it is `hsctl reload`; `hsctl check` shows problems first"},
	{"is-active", "it is `hsctl wait {} --timeout 0`"},
	{"list-units", "it is `hsctl status`"},
	{"list", "it is `hsctl status`"},
	{"show", "it is `hsctl status {} --json`"},
	{"cat", "`hsctl status {}` names its definition"},
	{"up", "it is `hsctl start {}`"},
	{"down", "it is `hsctl stop {}`"},
}

// command is a verb that only answers with the hint.
func (h hint) command() *cobra.Command {
	return &cobra.Command{
		Use: h.verb, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "SVC"
			if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				name = args[0]
			}
			return usage("%s: %s", h.verb, strings.ReplaceAll(h.text, "{}", name))
		},
	}
}

// explain makes more of "there is no such service": a template's name is
// answered with its instances, a link's name with the services on that link.
func (a *app) explain(names []string, err error) error {
	var failed *control.Error
	if !errors.As(err, &failed) || failed.Code != engine.CodeUnknown {
		return err
	}
	services := a.services(context.Background())
	for _, name := range names {
		if slices.ContainsFunc(services, func(s status.Service) bool { return s.Name == name }) {
			continue
		}
		template := strings.TrimSuffix(name, "@") + "@"
		var instances, on []string
		for _, s := range services {
			switch {
			case s.Template != nil && *s.Template == template:
				instances = append(instances, s.Name+" ("+s.State+")")
			case s.Primary != nil && strings.HasPrefix(*s.Primary, "link:") && strings.HasSuffix(*s.Primary, ":"+name):
				on = append(on, s.Name+" ("+s.State+")")
			}
		}
		switch {
		case len(instances) > 0:
			return &control.Error{Code: failed.Code, Text: name + " is a template: which instance? " + list(instances)}
		case len(on) > 0:
			return &control.Error{Code: failed.Code, Text: name + " is no service; services on link " + name + ": " + list(on)}
		}
	}
	return err
}

// completeServices offers the daemon's services, each with what it is and how.
func (a *app) completeServices(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, s := range a.services(context.Background()) {
		if !strings.HasPrefix(s.Name, begun) || slices.Contains(args, s.Name) {
			continue
		}
		text := s.State
		if s.Description != "" {
			text += ": " + s.Description
		}
		out = append(out, cobra.CompletionWithDesc(s.Name, clean(text)))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
