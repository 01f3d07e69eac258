package main

import (
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
are down because of it; the exit status is then 1. --not asks the same of one
that runs: what would keep it from starting again, if anything would.`,
		Example: `  hsctl why dhcp@wan0
  hsctl why --not dhcp@wan0     what would keep it from starting again`,
		Args: oneService,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := show(a, engine.VerbWhy, control.Params{Services: args, Not: not}, a.printWhy)
			return err
		},
		ValidArgsFunction: a.completeServices,
	}
	c.Flags().BoolVar(&not, "not", false, "what would keep it from starting, even if it runs")
	return c
}

// printWhy answers in the first line; what follows says how that came about.
func (a *app) printWhy(w status.Why) {
	reason := ""
	for _, s := range w.Chain {
		// The first hold on the service itself, or need of it.
		head, tail, ok := strings.Cut(s.Text+" ", " "+w.Service+" ")
		if ok && reason == "" && (s.What == "hold" || s.What == "need") {
			reason = strings.TrimSpace(head + " it " + tail)
		}
	}
	if w.Unmet != nil {
		reason = strings.TrimPrefix(*w.Unmet, w.State+": ")
	}
	fmt.Fprintf(a.out, "%s is %s%s\n", a.paint(bold, clean(w.Service)), a.paint(stateColour(w.State), w.State), clean(colon(reason)))
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
		case s.What == "transition" && base > first: // the service's own, not the other's
			depth = first
		}
		before = s.What
		fmt.Fprintf(a.out, "%s%s: %s\n", strings.Repeat("  ", depth), a.paint(dim, s.What), clean(s.Text))
	}
}
