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

// actCommands are the verbs that do something to named services.
func (a *app) actCommands() []*cobra.Command {
	start := a.actCommand(engine.VerbStart, "start SVC…", "Start: undo stop or block, and hold it if nothing else does",
		`Undoes stop and block. If nothing else holds the service, an administrator's
hold is added; what was done is printed. Also forgets failures and damping.
Returns when the service is up.`,
		`  hsctl start dnsmasq
  hsctl start dhcp@wan0 --timeout 10s`)
	stop := a.actCommand(engine.VerbStop, "stop SVC…", "Stop until started, or until all that holds it now is gone",
		`Stops the service now, whatever holds it. It stays down until start, unblock or
reboot, or until every object that holds it now is gone: the next USB stick is
mounted again. A carrier that comes and goes does not end it; to keep a service
down for good, block it.`,
		`  hsctl stop dhcp@wan0
  hsctl stop dnsmasq --no-wait`)
	restart := a.actCommand(engine.VerbRestart, "restart SVC…", "Stop and start again, and forget failures",
		`Stops the service and what needs it, and starts them again, in order. Failures
and backoff are forgotten.`,
		`  hsctl restart dnsmasq`)
	block := a.actCommand(engine.VerbBlock, "block SVC…", "Keep down whatever holds it, until unblock, start or reboot",
		`Takes the service down and keeps it down, also one that does not exist yet: an
instance for hardware that is still to come.`,
		`  hsctl block dhcp@wan0
  hsctl block mount@sdb1`)
	unblock := a.actCommand(engine.VerbUnblock, "unblock SVC…", "End stop and block; it runs again if something holds it",
		`Ends stop and block. The service runs again if something holds it; to run it
even if nothing does, start it.`,
		`  hsctl unblock dhcp@wan0`)
	reload := a.actCommand(engine.VerbReloadService, "reload-service SVC…", "Send its reload_signal",
		`Sends the service the reload_signal that its definition names. There is no
default: a signal that a program does not expect ends it.`,
		`  hsctl reload-service dnsmasq`)
	require := a.actCommand(engine.VerbRequire, "require SVC…", "Take a hold on it; returns when it is up",
		`Takes a hold on the service and returns when it is up. Without --as the holder
is your user, and it counts: 200 requires need 200 releases. With --as it does
not count. A require that fails or is not met in time leaves no hold.`,
		`  hsctl require dhcp@wan0
  hsctl require supplicant@wlan0 --as installer --timeout 30s`)
	release := a.actCommand(engine.VerbRelease, "release SVC…", "End a hold that require took",
		`Ends one hold that require took. If it was the last one, returns when the
service is down.`,
		`  hsctl release dhcp@wan0
  hsctl release supplicant@wlan0 --as installer`)
	return []*cobra.Command{start, stop, restart, block, unblock, reload, require, release}
}

// actCommand is one of those verbs.
func (a *app) actCommand(verb engine.Verb, use, short, long, example string) *cobra.Command {
	var as string
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: someServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(verb, control.Params{Services: args, As: as})
		},
		ValidArgsFunction: a.completeServices,
	}
	if verb == engine.VerbRequire || verb == engine.VerbRelease {
		c.Flags().StringVar(&as, "as", "", "the holder's name; such a hold does not count")
	}
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
	var raw json.RawMessage
	err := a.explain(p.Services, a.ask(verb, p, &raw))
	if a.json {
		return errors.Join(err, a.printJSON(raw))
	}
	var done []status.Done
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &done); err != nil {
			return err
		}
	}
	if err != nil {
		return err // its line says it all
	}
	for _, d := range done {
		fmt.Fprintln(a.out, doneLine(d))
	}
	return nil
}

// doneLine says how a service is now, and what made it so.
func doneLine(d status.Done) string {
	text := d.State
	if d.Text != "" && d.Text != d.State {
		text = strings.TrimPrefix(text+", "+d.Text, ", ")
	}
	if d.Service != "" {
		text = d.Service + ": " + text
	}
	return clean(text)
}

// someServices and nothing check the number of arguments, in hsctl's words.
func someServices(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("%s: which service? hsctl status lists them", cmd.Name())
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
