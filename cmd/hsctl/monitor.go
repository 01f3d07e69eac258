package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	counts := map[string]int64{}
	var brokeAt time.Time
	for {
		reached, err := a.watch(patterns, counts)
		var failed *control.Error
		if err == nil || !errors.As(err, &failed) || !failed.Lost {
			return err
		}
		if reached {
			brokeAt = time.Now()
		}
		if brokeAt.IsZero() || time.Since(brokeAt) > againTime {
			return err
		}
		time.Sleep(againPause)
	}
}

// watch prints what one daemon tells.
func (a *app) watch(patterns []string, counts map[string]int64) (reached bool, err error) {
	ctx := context.Background()
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
}

func (a *app) printChange(ch status.Change, counts map[string]int64) error {
	if a.json {
		line, err := json.Marshal(ch)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n", line)
		return err
	}
	skipped := ""
	if before, ok := counts[ch.Service]; ok && ch.Count > before+1 {
		skipped = fmt.Sprintf(" (%d before it not shown)", ch.Count-before-1)
	}
	counts[ch.Service] = ch.Count
	_, err := fmt.Fprintf(a.out, "%s %s %s%s\n",
		ch.At.Local().Format("15:04:05.000"), a.paint(bold, clean(ch.Service)), clean(changeText(ch)), skipped)
	return err
}
