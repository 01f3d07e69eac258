package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// actCommands are the verbs that do something to named services.
func (a *app) actCommands() []*cobra.Command {
	return []*cobra.Command{
		a.actCommand(engine.VerbStart, "Undo stop or block, and hold it if nothing else does",
			`Undoes stop and block. If nothing else holds the service, an administrator's
hold is added; what was done is printed. Also forgets failures and damping.
Returns when the service is up.`,
			`  hsctl start dnsmasq
  hsctl start dhcp@wan0 --timeout 10s`),
		a.actCommand(engine.VerbStop, "Stop it until started, or until all that holds it now is gone",
			`Stops the service now, whatever holds it. It stays down until start, unblock or
reboot, or until every object that holds it now is gone: the next USB stick is
mounted again. A carrier that comes and goes does not end it; to keep a service
down for good, block it.`,
			`  hsctl stop dhcp@wan0
  hsctl stop dnsmasq --no-wait`),
		a.actCommand(engine.VerbRestart, "Stop and start it again, and forget failures",
			`Stops the service and what needs it, and starts them again, in order. Failures
and backoff are forgotten. One that is not to run, because it was stopped or
nothing holds it, is not started: the exit status is 1, and start is for that.`,
			`  hsctl restart dnsmasq`),
		a.actCommand(engine.VerbReloadService, "Send it its reload_signal",
			`Sends the service the reload_signal that its definition names. There is no
default: a signal that a program does not expect ends it.`,
			`  hsctl reload-service dnsmasq`),
		a.actCommand(engine.VerbBlock, "Keep it down whatever holds it, until unblock, start or reboot",
			`Takes the service down and keeps it down, also one that does not exist yet: an
instance for hardware that is still to come.`,
			`  hsctl block dhcp@wan0
  hsctl block mount@sdb1`),
		a.actCommand(engine.VerbUnblock, "End stop and block; it runs again if something holds it",
			`Ends stop and block. The service runs again if something holds it; to run it
even if nothing does, start it.`,
			`  hsctl unblock dhcp@wan0`),
		a.actCommand(engine.VerbRequire, "Take a hold on it; returns when it is up",
			`Takes a hold on the service and returns when it is up. Without --as the holder
is your user, and it counts: 200 requires need 200 releases. With --as it does
not count. A require that fails, is not met in time, or is cut off by the end of
the daemon (exit 111) leaves no hold: what it was starting stops.`,
			`  hsctl require dhcp@wan0
  hsctl require supplicant@wlan0 --as installer --timeout 30s`),
		a.actCommand(engine.VerbRelease, "End a hold that require took",
			`Ends one hold that require took. If it was the last one, returns when the
service is down.`,
			`  hsctl release dhcp@wan0
  hsctl release supplicant@wlan0 --as installer`),
	}
}

// actCommand is one of those verbs.
func (a *app) actCommand(verb engine.Verb, short, long, example string) *cobra.Command {
	var as string
	c := &cobra.Command{
		Use: string(verb) + " SVC…", Short: short, Long: long, Example: example,
		Args: someServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(verb, control.Params{Services: args, As: as})
		},
		ValidArgsFunction: a.completeServices,
	}
	if verb == engine.VerbRequire || verb == engine.VerbRelease {
		c.Flags().StringVar(&as, "as", "", "the holder's `NAME`; such a hold does not count")
	}
	return c
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
	c.Flags().StringVar(&state, "for", "up", "`STATE` to wait for: up or down")
	c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"up", "down"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// globalCommands are the verbs that do something to everything.
func (a *app) globalCommands() []*cobra.Command {
	command := func(verb engine.Verb, short, long, example string) *cobra.Command {
		return &cobra.Command{
			Use: string(verb), Short: short, Long: long, Example: example,
			Args: nothing,
			RunE: func(cmd *cobra.Command, args []string) error { return a.act(verb, control.Params{}) },
		}
	}
	return []*cobra.Command{
		command(engine.VerbStopAll, "Stop everything, also what appears later, and wait for it",
			`Stops every service in order, and whatever comes up while that is under way.
Nothing starts again until resume.`, `  hsctl stopall --timeout 2m`),
		command(engine.VerbSuspend, "Order everything down and keep it down",
			`Like stopall, but returns when it is ordered.`, `  hsctl suspend`),
		command(engine.VerbResume, "End stopall and suspend, after a full resync",
			`Lists the hardware anew, and then starts what is held.`, `  hsctl resume`),
	}
}

// act has something done and says what was done.
func (a *app) act(verb engine.Verb, p control.Params) error {
	_, err := show(a, verb, p, func(done []status.Done) {
		for _, d := range done {
			line := d.Text
			if d.Service != "" { // else it is about all of them
				line = d.Service + ": " + strings.TrimSuffix(d.State+", "+d.Text, ", ")
			}
			fmt.Fprintln(a.out, clean(line))
		}
	})
	return err
}

// holdCommand takes a hold in hsctl's own name and becomes the command: pid and
// start time stay the same, so the hold ends with the command, however it dies,
// and nobody has to watch.
func (a *app) holdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hold SVC… -- CMD…",
		Short: "Hold it for as long as a command runs",
		Long: `Takes a hold on the services, waits until they are up, and then becomes CMD.
The hold ends with that process, however it dies. The exit status is CMD's. If
the services do not come up in time, CMD is not run and nothing is held. So it
is if there is no such command: the exit status is then 100, not a shell's 127.`,
		Example: `  hsctl hold dhcp@wan0 -- ping -c 3 example.org
  hsctl hold sshd -- sh -c 'sleep 600'`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch n := cmd.ArgsLenAtDash(); {
			case n < 0:
				return usage("hold: write -- between the services and the command: `hsctl hold SVC -- CMD`")
			case n == 0:
				return someServices(cmd, nil)
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
	if err := a.ask(engine.VerbHold, control.Params{Services: services}, nil); err != nil {
		return err
	}
	err = syscall.Exec(path, command, os.Environ())
	return usage("hold: cannot run %s: %v: the hold ends now", command[0], err)
}

// someServices, oneService and nothing check the number of arguments, in
// hsctl's words.
func someServices(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("%s: which service? `hsctl status` lists them", cmd.Name())
	}
	return nil
}

func oneService(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("%s takes one service", cmd.Name())
	}
	return someServices(cmd, args)
}

func nothing(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no argument", cmd.Name())
	}
	return nil
}
