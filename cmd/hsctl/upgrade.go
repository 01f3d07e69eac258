package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
)

// upgradeTime is how long a new program may take until it answers.
const upgradeTime = 10 * time.Second

func (a *app) upgradeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "upgrade [BINARY]",
		Short: "Have the daemon go on as another program",
		Long: `Replaces the running daemon by BINARY, or by what stands now where it was started
from, which is what a package's new version has been unpacked to. The process and
its children stay; services are not touched, and callers are not turned away.

The new program is first asked whether it can read the configuration and the
state; if not, or if others than root may write to it, it is refused and nothing
has changed. So is what is no hotsvc: name the program itself, not a script that
runs it. While the daemon stops all services in order to end, there is no upgrade.`,
		Example: `  hsctl upgrade
  hsctl upgrade /usr/local/sbin/hotsvc-1.3`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("upgrade takes one program")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.upgrade(args) },
	}
}

func (a *app) upgrade(args []string) error {
	var p control.Params
	if len(args) == 1 {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return usage("upgrade: %v", err)
		}
		p.Binary = path
	}
	ctx, cancel := context.WithTimeout(context.Background(), control.AnswerTime)
	defer cancel()
	before, err := a.daemonVersion(ctx)
	if err != nil {
		return err
	}
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Call(ctx, control.Upgrade, p, nil); err != nil {
		return err
	}
	c.AwaitEnd(ctx) // the old program's
	ctx, cancel = context.WithTimeout(context.Background(), upgradeTime)
	defer cancel()
	after, err := a.daemonVersion(ctx) // waits in the socket's queue until the new one listens
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"before": before, "after": after})
	}
	_, err = fmt.Fprintf(a.out, "upgraded: %s → %s\n", clean(before), clean(after))
	return err
}

func (a *app) daemonVersion(ctx context.Context) (version string, err error) {
	err = control.Again(func() (reached bool, err error) { // the one that goes may still take the call
		c, err := control.Dial(ctx, a.socketPath())
		if err != nil {
			return false, err
		}
		defer c.Close()
		version, err = c.Version(ctx)
		return true, err
	})
	return version, err
}
