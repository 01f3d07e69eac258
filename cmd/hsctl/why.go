package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

func (a *app) whyCommand() *cobra.Command {
	var not bool
	c := &cobra.Command{
		Use:   "why SVC",
		Short: "Why it runs, or why not and what would change that",
		Long: `Of a service that runs, prints the chain from the kernel's event to its start:
event, object, rule with file and line, hold, transition. Of one that does not,
prints the first fact that is missing, what would change it, and which services
are down because of it; the exit status is then 1.`,
		Example: `  hsctl why dhcp@wan0
  hsctl why --not dhcp@wan0     what would keep it from starting again`,
		Args:              oneService,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.why(args[0], not) },
		ValidArgsFunction: a.completeServices,
	}
	c.Flags().BoolVar(&not, "not", false, "why it does not run, even if it does")
	return c
}

func (a *app) why(name string, not bool) error {
	var raw json.RawMessage
	err := a.ask(engine.VerbWhy, control.Params{Services: []string{name}, Not: not}, &raw)
	if len(raw) == 0 {
		return a.explain([]string{name}, err)
	}
	var why status.Why
	if err := json.Unmarshal(raw, &why); err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(raw); err != nil {
			return err
		}
	} else {
		a.printWhy(&why)
	}
	var failed *control.Error
	if errors.As(err, &failed) {
		return silent(failed.Code)
	}
	if !why.Running {
		return silent(engine.CodeNo)
	}
	return err
}

func (a *app) printWhy(w *status.Why) {
	fmt.Fprintf(a.out, "%s is %s\n", a.paint(bold, clean(w.Service)), a.paint(stateColour(w.State), w.State))
	if w.Unmet != nil {
		fmt.Fprintf(a.out, "  because %s\n", clean(*w.Unmet))
	}
	if w.Remedy != nil {
		fmt.Fprintf(a.out, "  to change that: %s\n", clean(*w.Remedy))
	}
	if len(w.Dependents) > 0 {
		fmt.Fprintf(a.out, "  down because of it: %s\n", clean(list(w.Dependents)))
	}
	first := 1
	if w.Unmet != nil && len(w.Chain) > 0 {
		fmt.Fprintln(a.out, "  what wants it nevertheless:")
		first = 2
	}
	a.printChain(w.Chain, first)
}

// printChain prints one step a line, each further in than what caused it.
func (a *app) printChain(chain []status.Step, first int) {
	base, depth, before := first, first-1, ""
	for _, s := range chain {
		depth++
		switch {
		case s.What == "need": // what follows says why the other is wanted
			base, depth = first+1, first
		case s.What == "event", s.What == "hold" && before != "rule":
			depth = base
		}
		before = s.What
		fmt.Fprintf(a.out, "%s%s: %s\n", strings.Repeat("  ", depth), a.paint(dim, s.What), clean(s.Text))
	}
}

func (a *app) waitCommand() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:   "wait SVC…",
		Short: "Wait until it is up, or down",
		Long: `Returns when every service named is up, or with --for down, down. With
--timeout 0 it only asks: exit status 0 yes, 1 no. Otherwise 2 means: not in
time.`,
		Example: `  hsctl wait dhcp@wan0 --timeout 30s
  hsctl wait mount@sdb1 --for down
  if hsctl wait dnsmasq --timeout 0; then …`,
		Args: someServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "up" && state != "down" {
				return usage("wait: --for %s: write up or down", state)
			}
			return a.act(engine.VerbWait, control.Params{Services: args, For: state})
		},
		ValidArgsFunction: a.completeServices,
	}
	c.Flags().StringVar(&state, "for", "up", "up or down")
	c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"up", "down"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
