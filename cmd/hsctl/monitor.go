package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/status"
)

func (a *app) monitorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "monitor [PATTERN…]",
		Short: "Print transitions as they happen",
		Long: `Prints a line for each transition of the services whose names match, until
interrupted. When there are more than can be shown, the newest of each service is,
and the line says how many were skipped. With --json: one object a line.`,
		Example: `  hsctl monitor
  hsctl monitor 'dhcp@*' --json`,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.monitor(args) },
		ValidArgsFunction: a.completeServices,
	}
}

// monitor watches until somebody ends it. It follows from one daemon to the
// next.
func (a *app) monitor(patterns []string) error {
	ctx := context.Background()
	counts := map[string]int64{}
	return control.Again(func() (reached bool, err error) {
		c, err := control.Dial(ctx, a.socketPath())
		if err != nil {
			return false, err
		}
		defer c.Close()
		return true, c.Monitor(ctx, patterns, func(changes []status.Change) error {
			for _, ch := range changes {
				if err := a.printChange(ch, counts); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (a *app) printChange(ch status.Change, counts map[string]int64) error {
	if a.json {
		return a.encode(ch, "")
	}
	skipped := ""
	if before, ok := counts[ch.Service]; ok && ch.Count > before+1 {
		skipped = fmt.Sprintf(" (%d before it not shown)", ch.Count-before-1)
	}
	counts[ch.Service] = ch.Count
	_, err := fmt.Fprintf(a.out, "%s %s %s → %s%s%s\n", ch.At.Local().Format("15:04:05.000"), a.paint(bold, clean(ch.Service)),
		ch.From, a.paint(stateColour(ch.To), ch.To), clean(colon(ch.Reason)), skipped)
	return err
}
