package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/toml"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Read rules and services again",
		Long: `Has the daemon read its files again. A configuration with any error is refused
whole: the one in force stays, and every problem is printed.`,
		Example: `  hsctl reload
  hsctl check /etc/hotsvc && hsctl reload`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			err := a.ask(control.Reload, control.Params{}, &raw)
			if a.json {
				if jerr := a.printJSON(raw); jerr != nil {
					return jerr
				}
				return err
			}
			var problems []toml.Problem
			if len(raw) > 0 {
				if err := json.Unmarshal(raw, &problems); err != nil {
					return err
				}
			}
			for _, p := range problems {
				fmt.Fprintln(a.out, clean(p.String()))
			}
			return err
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The versions of hsctl and of the daemon",
		Example: "  hsctl version",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			var daemon *string
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			defer cancel()
			if c, err := control.Dial(ctx, a.socketPath()); err == nil {
				defer c.Close()
				info, err := c.Info(ctx)
				if err != nil {
					return err
				}
				daemon = &info.Version
			}
			if a.json {
				out, err := json.Marshal(map[string]any{"hsctl": ownVersion(), "daemon": daemon})
				if err != nil {
					return err
				}
				return a.printJSON(out)
			}
			fmt.Fprintln(a.out, "hsctl  "+ownVersion())
			if daemon != nil {
				fmt.Fprintln(a.out, "daemon "+clean(*daemon))
			} else {
				fmt.Fprintln(a.out, "daemon none on "+a.socketPath())
			}
			return nil
		},
	}
}
