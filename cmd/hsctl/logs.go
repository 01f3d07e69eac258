package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
	"hotsvc/internal/svlog"
)

func (a *app) logsCommand() *cobra.Command {
	var last, since string
	var follow bool
	c := &cobra.Command{
		Use:   "logs SVC… [-f] [-n N] [--since WHEN]",
		Short: "Print what services have said",
		Long: `Prints the last lines of what a service wrote to its standard output and error,
with the time at which each line was read (UTC), across all the files that are
kept. Of several services the lines are put in order, and each begins with a name.

WHEN is a moment, as "2026-01-31T23:59:59Z", "2026-01-31", "2026-01-31 23:59" or
"23:59", or how long ago: "10m", "2h30m", "3d"; or "today" or "yesterday".

It reads the files itself, so it works without a daemon too, where the files are
in their usual place. With --json: one object a line, with time, service, text.`,
		Example: `  hsctl logs dhcp@wan0
  hsctl logs -f 'dhcp@*'                     and what comes
  hsctl logs --since 10m --json dnsmasq      all of the last ten minutes
  hsctl logs -n all dnsmasq | grep -c DHCPACK`,
		Args: someServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := svlog.ReadOptions{Last: 10, Follow: follow}
			if since != "" {
				at, ok := moment(since, a.now())
				if !ok {
					return usage(`--since %q: when is that? write "10m", "today", "23:59" or "2026-01-31T23:59:59Z"`, since)
				}
				o.Since, o.Last = at, -1
			}
			if cmd.Flags().Changed("lines") {
				n, err := strconv.ParseUint(last, 10, 31)
				if o.Last = int(n); last == "all" {
					o.Last = -1
				} else if err != nil {
					return usage(`-n %q: a number of lines, or "all"`, last)
				}
			}
			return a.logs(args, o)
		},
		ValidArgsFunction: a.completeServices,
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until interrupted")
	c.Flags().StringVarP(&last, "lines", "n", "10", `the last N lines, or "all"`)
	c.Flags().StringVar(&since, "since", "", "only what came from `WHEN` on, all of it unless -n says less")
	return c
}

// moment reads when something was.
func moment(text string, now time.Time) (time.Time, bool) {
	now = now.Local()
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "today":
		return day, true
	case "yesterday":
		return day.AddDate(0, 0, -1), true
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 15); err == nil {
			return now.AddDate(0, 0, -int(n)), true
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), true
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, true
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second), true
		}
	}
	return time.Time{}, false
}

// record is where the output of one service is kept.
type record struct {
	service, dir string

	r    *svlog.Reader
	line []byte
	at   time.Time // of the line, or of the one before
}

func (a *app) logs(names []string, o svlog.ReadOptions) error {
	records, err := a.records(names)
	if err != nil {
		return err
	}
	several := len(records) > 1 || isGlob(names[0])
	if o.Follow {
		return a.follow(records, o, several)
	}
	for i := range records {
		x := &records[i]
		err := x.open(o)
		if err == nil {
			err = x.next(context.Background())
		}
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(a.err, "hsctl: %s has said nothing yet\n", clean(x.service))
		} else if err != nil && err != io.EOF {
			return x.error(err)
		}
	}
	for {
		var first *record
		for i := range records {
			if x := &records[i]; x.line != nil && (first == nil || x.at.Before(first.at)) {
				first = x
			}
		}
		if first == nil {
			return nil
		}
		if err := a.printLine(first, several); err != nil {
			return err
		}
		if err := first.next(context.Background()); err != nil && err != io.EOF {
			return first.error(err)
		}
	}
}

// records asks the daemon where the services' output is. Without one, it may be
// where it usually is.
func (a *app) records(names []string) ([]record, error) {
	var report status.Report
	err := a.ask(engine.VerbStatus, control.Params{Services: names}, &report)
	var failed *control.Error
	if errors.As(err, &failed) && failed.Code == engine.CodeDaemon {
		if records := a.usual(names); records != nil {
			return records, nil
		}
	}
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if !isGlob(n) && !slices.ContainsFunc(report.Services, func(s status.Service) bool { return s.Name == n }) {
			return nil, a.ask(engine.VerbWhy, control.Params{Services: []string{n}}, nil) // says what was meant
		}
	}
	var records []record
	var silent []string // why
	for _, s := range report.Services {
		switch {
		case s.Log != nil:
			records = append(records, record{service: s.Name, dir: filepath.Dir(*s.Log)})
		case s.LogTo == "file":
			records = append(records, record{service: s.Name})
		default:
			silent = append(silent, notKept(&s))
		}
	}
	switch {
	case len(records) == 0 && len(silent) == 0:
		return nil, &control.Error{Code: engine.CodeUnknown, Text: "no service matches " + list(names)}
	case len(records) == 0:
		return nil, &control.Error{Code: engine.CodeNo, Text: silent[0]}
	}
	for _, why := range silent {
		fmt.Fprintln(a.err, "hsctl: "+clean(why))
	}
	return records, nil
}

// notKept says where output goes that is not kept, and what to do.
func notKept(s *status.Service) string {
	where := ""
	if s.Definition != nil {
		where = " in " + s.Definition.File
	}
	switch by, piped := strings.CutPrefix(s.LogTo, "pipe:"); {
	case piped:
		return fmt.Sprintf("%s: what it says is the input of %s, which keeps it: see `hsctl status %s`", s.Name, by, by)
	case s.LogTo == "syslog":
		return fmt.Sprintf("%s: it says it to the system's log (log = \"syslog\"%s): look there, or write log = \"file\"", s.Name, where)
	}
	return fmt.Sprintf("%s: what it says is not kept (log = \"none\"%s): write log = \"file\"", s.Name, where)
}

// usual looks for logs in the usual places; nil unless there is one for each name.
func (a *app) usual(names []string) []record {
	system := layout.Default()
	system.LogDir = "/var/log/hotsvc"
	own := layout.Default()
	for _, l := range []*layout.Layout{&own, &system} {
		if records := kept(l, names); records != nil {
			fmt.Fprintf(a.err, "hsctl: no daemon on %s: what there is in %s\n", a.socketPath(), l.LogDir)
			return records
		}
	}
	return nil
}

// kept are the log directories of the services that the names match.
func kept(l *layout.Layout, names []string) []record {
	var services []string
	entries, _ := os.ReadDir(l.LogDir) // a directory that cannot be read has none
	for _, e := range entries {
		if s, ok := service.FromFileName(e.Name()); ok {
			services = append(services, s)
		}
	}
	var records []record
	for _, n := range names {
		some := false
		for _, s := range services {
			if ok, err := path.Match(n, s); s != n && (!ok || err != nil) {
				continue
			}
			some = true
			if !slices.ContainsFunc(records, func(x record) bool { return x.service == s }) {
				records = append(records, record{service: s, dir: l.ServiceLog(s)})
			}
		}
		if !some {
			return nil
		}
	}
	return records
}

func (x *record) open(o svlog.ReadOptions) (err error) {
	if x.dir == "" { // not written to yet
		return fs.ErrNotExist
	}
	x.r, err = svlog.OpenReader(x.dir, o)
	return err
}

func (x *record) next(ctx context.Context) error {
	line, err := x.r.Next(ctx)
	if x.line = nil; err != nil {
		return err
	}
	x.line = line
	if at, _, ok := svlog.ParseStamp(line); ok {
		x.at = at
	}
	return nil
}

// error says what is wrong, and what to do.
func (x *record) error(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &control.Error{Code: engine.CodeDenied, Text: fmt.Sprintf("%s: %v: become root, or who the daemon runs as", x.service, err)}
	}
	return &control.Error{Code: engine.CodeNo, Text: fmt.Sprintf("%s: %v", x.service, err)}
}

// waitForLog is the pause between two looks for a log that is not there yet.
const waitForLog = 500 * time.Millisecond

// follow prints what comes, of each service as it comes.
func (a *app) follow(records []record, o svlog.ReadOptions, several bool) error {
	ctx := context.Background()
	ended := make(chan error, len(records))
	var printing sync.Mutex
	for i := range records {
		x := &records[i]
		go func() {
			o := o
			err := x.open(o)
			for errors.Is(err, fs.ErrNotExist) {
				o.Last = -1 // all of it is new
				time.Sleep(waitForLog)
				for _, s := range a.services(ctx, x.service) {
					if s.Log != nil {
						x.dir = filepath.Dir(*s.Log)
					}
				}
				err = x.open(o)
			}
			for err == nil {
				if err = x.next(ctx); err == nil {
					printing.Lock()
					err = a.printLine(x, several)
					printing.Unlock()
				}
			}
			ended <- x.error(err)
		}()
	}
	return <-ended
}

// printLine prints a line as it is in the file; what is harmful on a terminal is
// made visible there.
func (a *app) printLine(x *record, several bool) error {
	if a.json {
		at, text, ok := svlog.ParseStamp(x.line)
		out := struct {
			Time    *time.Time `json:"time"`
			Service string     `json:"service"`
			Text    string     `json:"text"`
		}{Service: x.service, Text: string(text)}
		if ok {
			out.Time = &at
		}
		return a.encode(out, "")
	}
	line := string(x.line)
	if isTerminal(a.out) {
		parts := strings.Split(line, "\t")
		for i := range parts {
			parts[i] = clean(parts[i])
		}
		line = strings.Join(parts, "\t")
	}
	if several {
		line = a.paint(bold, clean(x.service)) + ": " + line
	}
	_, err := fmt.Fprintln(a.out, line)
	return err
}
