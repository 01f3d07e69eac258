package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [PATTERN…]",
		Short: "What runs: a line a service, or all about one",
		Long: `Prints a line a service: its state, since when, its pid, how often it was
restarted, and the first reason why it is as it is. Patterns select services by
name, with * ? and […]. With the name of one service, prints all about it.

Below the table stands the sum, and what is not normal: sources that have lost
messages of the kernel's, problems in the configuration, what this daemon cannot
promise.`,
		Example: `  hsctl status
  hsctl status 'dhcp@*' dnsmasq
  hsctl status dhcp@wan0
  hsctl status --json | jq -r '.services[] | select(.state == "failed") | .name'`,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.status(args) },
		ValidArgsFunction: a.completeServices,
	}
}

func (a *app) status(patterns []string) error {
	report, err := show(a, engine.VerbStatus, control.Params{Services: patterns}, func(r status.Report) { a.printStatus(patterns, &r) })
	if err != nil {
		return err
	}
	for _, p := range patterns {
		if !isGlob(p) && !slices.ContainsFunc(report.Services, func(s status.Service) bool { return s.Name == p }) {
			return a.ask(engine.VerbWhy, control.Params{Services: []string{p}}, nil) // says what was meant
		}
	}
	return nil
}

func isGlob(s string) bool { return strings.ContainsAny(s, "*?[") }

func (a *app) printStatus(patterns []string, report *status.Report) {
	services := report.Services
	switch {
	case len(patterns) == 1 && len(services) == 1 && services[0].Name == patterns[0]:
		a.printService(&services[0])
		return
	case len(services) > 0:
		a.printServices(services)
	case len(patterns) == 0:
		fmt.Fprintln(a.out, "no services now: `hsctl rules` shows what would bring some, `hsctl objects` what there is to match")
	case slices.ContainsFunc(patterns, isGlob):
		fmt.Fprintln(a.out, "no service matches "+list(patterns))
	default: // names only, and none is known: the error says so
		return
	}
	a.printTroubles(report)
}

// The states in the order in which the sum below the table has them: who reads
// only its end still reads what is wrong.
var (
	wellStates   = []string{"up", "down", "starting", "stopping", "waiting"}
	unwellStates = []string{"backoff", "failed", "stuck"}
)

func (a *app) printServices(services []status.Service) {
	rows := make([][]cell, len(services))
	names := map[string][]string{} // by state
	for i := range services {
		s := &services[i]
		names[s.State] = append(names[s.State], s.Name)
		pid, name, reason := "-", plain, plain
		if s.Pid != nil {
			pid = strconv.Itoa(*s.Pid)
		}
		colour := stateColour(s.State)
		switch {
		case slices.Contains(unwellStates, s.State):
			name, reason = colour, colour
		case s.State == "down":
			name, reason = dim, dim
		}
		rows[i] = []cell{{s.Name, name}, {s.State, colour}, {a.ago(s.Since), plain}, {pid, plain},
			{strconv.FormatInt(s.Restarts, 10), plain}, {s.Reason, reason}}
	}
	head := []string{"SERVICE", "STATE", "SINCE", "PID", "RESTARTS", "REASON"}
	if w := width(a.out); w > 0 && w < 80 { // the reason tells more
		head = slices.Delete(head, 3, 5)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 3, 5)
		}
	}
	a.table(head, rows)
	if len(services) == 1 {
		return // the row is its own sum
	}
	var sum []string
	for _, state := range wellStates {
		if n := len(names[state]); n > 0 {
			sum = append(sum, fmt.Sprintf("%d %s", n, state))
		}
	}
	for _, state := range unwellStates {
		if len(names[state]) > 0 {
			sum = append(sum, a.paint(stateColour(state), state+" "+clean(strings.Join(names[state], " "))))
		}
	}
	fmt.Fprintf(a.out, "\n%s: %s\n", many(len(services), "service"), list(sum))
}

// printTroubles says what is not normal.
func (a *app) printTroubles(report *status.Report) {
	var lines []string
	if report.Suspended != nil {
		lines = append(lines, "suspended by "+*report.Suspended+": nothing runs until `hsctl resume`")
	}
	for _, d := range report.Degraded {
		lines = append(lines, "degraded: "+d)
	}
	for _, s := range report.Sources {
		line := string(s.State) + colon(s.Error)
		if s.Lost > 0 {
			line += ", " + many(int(s.Lost), "overflow") + " so far"
		}
		if s.Refused > 0 {
			line += ", " + many(int(s.Refused), "message") + " not believed"
		}
		if line != string(object.Synced) && line != string(object.Absent) {
			lines = append(lines, "source "+s.Name+": "+line)
		}
	}
	for _, p := range report.Config.Problems {
		lines = append(lines, "config: "+p.String())
	}
	if len(lines) > 0 && len(report.Services) == 1 {
		fmt.Fprintln(a.out)
	}
	for _, l := range lines {
		fmt.Fprintln(a.out, a.paint(yellow, clean(l)))
	}
}

func stateColour(state string) string {
	switch state {
	case "up":
		return green
	case "failed", "stuck", "backoff":
		return red
	case "down":
		return dim
	}
	return yellow
}
