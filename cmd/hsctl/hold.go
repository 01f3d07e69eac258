package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
)

// holdCommand takes a hold in hsctl's own name and becomes the command: pid and
// start time stay the same, so the hold ends with the command, however it dies,
// and nobody has to watch.
func (a *app) holdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hold SVC… -- CMD…",
		Short: "Hold it for as long as a command runs",
		Long: `Takes a hold on the services, waits until they are up, and then becomes CMD.
The hold ends with that process, however it dies. The exit status is CMD's. If
the services do not come up in time, CMD is not run and nothing is held.`,
		Example: `  hsctl hold dhcp@wan0 -- ping -c 3 example.org
  hsctl hold sshd -- sh -c 'sleep 600'`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch n := cmd.ArgsLenAtDash(); {
			case n < 0:
				return usage(`hold: write "--" between the services and the command: hsctl hold SVC -- CMD`)
			case n == 0:
				return usage("hold: which service? hsctl status lists them")
			case n == len(args):
				return usage("hold: which command? Write it behind --")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			n := cmd.ArgsLenAtDash()
			return a.hold(args[:n], args[n:])
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if cmd.ArgsLenAtDash() >= 0 {
				return nil, cobra.ShellCompDirectiveDefault // of the command the shell knows more
			}
			return a.completeServices(cmd, args, begun)
		},
	}
}

func (a *app) hold(services, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return usage("hold: %s: no such command, or not executable: nothing is held", command[0])
	}
	var raw json.RawMessage
	err = a.explain(services, a.ask(engine.VerbHold, control.Params{Services: services}, &raw))
	if err != nil {
		return err
	}
	err = syscall.Exec(path, command, os.Environ())
	return usage("hold: cannot run %s: %v: the hold ends now", command[0], err)
}
