package main

import (
	"encoding/json"
	"fmt"
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

Below the table stands what is not normal: sources that have lost touch with the
kernel, problems in the configuration, what this daemon cannot promise.`,
		Example: `  hsctl status
  hsctl status 'dhcp@*' dnsmasq
  hsctl status dhcp@wan0
  hsctl status --json | jq -r '.services[] | select(.state == "failed") | .name'`,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.status(args) },
		ValidArgsFunction: a.completeServices,
	}
}

func (a *app) status(patterns []string) error {
	var raw json.RawMessage
	if err := a.ask(engine.VerbStatus, control.Params{Services: patterns}, &raw); err != nil {
		return a.explain(patterns, err)
	}
	var report status.Report
	if err := json.Unmarshal(raw, &report); err != nil {
		return err
	}
	missing := missingNames(patterns, report.Services)
	if a.json {
		if err := a.printJSON(raw); err != nil {
			return err
		}
	} else if len(missing) < len(patterns) || len(patterns) == 0 {
		a.printStatus(patterns, &report)
	}
	if len(missing) > 0 {
		return a.explain(missing, &control.Error{
			Code: engine.CodeUnknown, Text: "no service " + list(missing) + ": hsctl status lists what there is"})
	}
	return nil
}

func (a *app) printStatus(patterns []string, report *status.Report) {
	services := report.Services
	if len(patterns) == 1 && len(services) == 1 && services[0].Name == patterns[0] {
		a.printService(&services[0])
		a.printTroubles(report)
		return
	}
	if len(services) == 0 {
		none := "no services: put one in /etc/hotsvc/services, and a rule that requires it in /etc/hotsvc/rules.d"
		if len(patterns) > 0 {
			none = "no service matches " + list(patterns)
		}
		fmt.Fprintln(a.out, none)
		a.printTroubles(report)
		return
	}
	a.printServices(services)
	a.printTroubles(report)
}

func (a *app) printServices(services []status.Service) {
	rows := make([][]cell, len(services))
	for i := range services {
		s := &services[i]
		pid := "-"
		if s.Pid != nil {
			pid = strconv.Itoa(*s.Pid)
		}
		rows[i] = []cell{
			{s.Name, plain}, {s.State, stateColour(s.State)}, {a.ago(s.Since), plain},
			{pid, plain}, {strconv.FormatInt(s.Restarts, 10), plain}, {s.Reason, plain},
		}
	}
	a.table([]string{"SERVICE", "STATE", "SINCE", "PID", "RESTARTS", "REASON"}, rows)
}

// printTroubles says what is not normal.
func (a *app) printTroubles(report *status.Report) {
	var lines []string
	if report.Suspended != nil {
		lines = append(lines, "suspended by "+*report.Suspended+": nothing runs until hsctl resume")
	}
	for _, d := range report.Degraded {
		lines = append(lines, "degraded: "+d)
	}
	for _, s := range report.Sources {
		if line := sourceTrouble(s); line != "" {
			lines = append(lines, line)
		}
	}
	for _, p := range report.Config.Problems {
		lines = append(lines, "config: "+p.String())
	}
	if len(lines) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, l := range lines {
		fmt.Fprintln(a.out, a.paint(yellow, clean(l)))
	}
}

// sourceTrouble is a line about a source that does not know all that it should.
func sourceTrouble(s object.SourceStatus) string {
	if s.State == object.Synced || s.State == object.Absent {
		return ""
	}
	line := "source " + s.Name + ": " + string(s.State)
	if s.Error != "" {
		line += ": " + s.Error
	}
	return line
}

func stateColour(state string) string {
	switch state {
	case "up":
		return green
	case "failed", "stuck":
		return red
	case "down":
		return dim
	}
	return yellow
}

// missingNames are the names among the patterns that no service has.
func missingNames(patterns []string, services []status.Service) []string {
	var missing []string
	for _, p := range patterns {
		found := strings.ContainsAny(p, "*?[")
		for i := range services {
			found = found || services[i].Name == p
		}
		if !found {
			missing = append(missing, p)
		}
	}
	return missing
}
