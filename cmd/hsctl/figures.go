package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
)

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print figures for a monitoring system",
		Long: `Prints how services and sources are in the text format of Prometheus, for its node
exporter's textfile collector or any other that reads it.`,
		Example: `  hsctl metrics > /var/lib/node_exporter/hotsvc.prom.new && mv /var/lib/node_exporter/hotsvc.prom{.new,}`,
		Args:    nothing,
		RunE: func(*cobra.Command, []string) error {
			_, err := show(a, engine.VerbStatus, control.Params{}, func(r status.Report) { printMetrics(a.out, &r) })
			return err
		},
	}
}

func printMetrics(w io.Writer, r *status.Report) {
	family := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	family("hotsvc_info", "gauge", "The daemon.")
	fmt.Fprintf(w, "hotsvc_info{version=%s} 1\n", label(r.Version))
	family("hotsvc_degraded", "gauge", "What is degraded, as status says it: what the daemon cannot promise, and a configuration that is not what the files say.")
	fmt.Fprintf(w, "hotsvc_degraded %d\n", len(r.Degraded))
	family("hotsvc_config_problems", "gauge", "Errors and warnings in the files of the configuration.")
	fmt.Fprintf(w, "hotsvc_config_problems %d\n", len(r.Config.Problems))
	services := func(name, kind, help string, value func(*status.Service) any) {
		family(name, kind, help)
		for i := range r.Services {
			fmt.Fprintf(w, "%s{service=%s} %v\n", name, label(r.Services[i].Name), value(&r.Services[i]))
		}
	}
	family("hotsvc_service_state", "gauge", "1 for the state that the service is in.")
	for _, s := range r.Services {
		fmt.Fprintf(w, "hotsvc_service_state{service=%s,state=%s} 1\n", label(s.Name), label(s.State))
	}
	services("hotsvc_service_wanted", "gauge", "1 while the service is to run.", func(s *status.Service) any { return one(s.Wanted()) })
	services("hotsvc_service_since_seconds", "gauge", "When it came into its state, Unix time.", func(s *status.Service) any {
		return fmt.Sprintf("%.3f", float64(s.Since.UnixMilli())/1000)
	})
	services("hotsvc_service_restarts_total", "counter", "Starts after a failure.", func(s *status.Service) any { return s.Restarts })
	services("hotsvc_service_failures", "gauge", "Failures in a row.", func(s *status.Service) any { return s.Failures })
	sources := func(name, help string, value func(*object.SourceStatus) uint64) {
		family(name, "counter", help)
		for i := range r.Sources {
			fmt.Fprintf(w, "%s{source=%s} %d\n", name, label(r.Sources[i].Name), value(&r.Sources[i]))
		}
	}
	family("hotsvc_source_synced", "gauge", "1 while the source has told all that exists.")
	for _, s := range r.Sources {
		if s.State == object.Absent {
			continue // there is nothing to tell of
		}
		fmt.Fprintf(w, "hotsvc_source_synced{source=%s} %d\n", label(s.Name), one(s.State == object.Synced))
	}
	sources("hotsvc_source_events_total", "Messages of the kernel.", func(s *object.SourceStatus) uint64 { return s.Events })
	sources("hotsvc_source_overflows_total", "Times that messages were lost.", func(s *object.SourceStatus) uint64 { return s.Lost })
	sources("hotsvc_source_lists_total", "Lists that were made because messages were lost.", func(s *object.SourceStatus) uint64 { return s.Resyncs })
	sources("hotsvc_source_refused_total", "Messages that were forged or malformed.", func(s *object.SourceStatus) uint64 { return s.Refused })
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// label is a label's value as the format wants it: quoted, with \ and " escaped.
func label(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(clean(text)) + `"`
}

func (a *app) timelineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "timeline [PATTERN…]",
		Short: "Print what happened lately, in order",
		Long: `Prints the last transitions of the services whose names match, at most eight of
each, in the order of time, with the time since the line before: where a boot or a
plug spent its time. With --json: one object a line.`,
		Example: `  hsctl timeline
  hsctl timeline '*@wlan0'`,
		RunE: func(_ *cobra.Command, args []string) error {
			json := a.json
			a.json = false // of each line
			_, err := show(a, engine.VerbStatus, control.Params{Services: args}, func(r status.Report) {
				a.json = json
				a.printTimeline(r.Services)
			})
			return err
		},
		ValidArgsFunction: a.completeServices,
	}
}

func (a *app) printTimeline(services []status.Service) {
	var all []status.Change
	for _, s := range services {
		all = append(all, s.History...)
	}
	slices.SortStableFunc(all, func(x, y status.Change) int { return x.At.Compare(y.At) })
	var before time.Time
	for _, ch := range all {
		if a.json {
			a.printChange(ch, nil)
			continue
		}
		after := ""
		if !before.IsZero() {
			after = "+" + ch.At.Sub(before).Round(time.Millisecond).String()
		}
		before = ch.At
		fmt.Fprintf(a.out, "%s %9s  %s %s → %s%s\n", ch.At.Local().Format("15:04:05.000"), after, a.paint(bold, clean(ch.Service)),
			ch.From, a.paint(stateColour(ch.To), ch.To), clean(colon(ch.Reason)))
	}
}
