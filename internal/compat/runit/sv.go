package runit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/compat"
	"hotsvc/internal/superdir"
)

// Exit statuses of sv, and those that init scripts have instead (LSB core
// specification, "iniscrptact").
const (
	exitUsage    = 100
	exitMost     = 99 // services that failed are counted up to there
	lsbUsage     = 2
	lsbDown      = 3
	lsbUnknown   = 4
	lsbNoService = 1
)

const usageText = "usage: %s [-v] [-w sec] command service ...\n"
const usageLSB = "usage: %s [-w sec] command\n"

// wait is how long sv waits unless $SVWAIT or -w says otherwise.
const wait = 7 * time.Second

// run is one run of sv.
type run struct {
	out, err io.Writer
	name     string // of the program
	lsb      bool
	verbose  bool
	wait     time.Duration
	failed   int
}

func sv(c *compat.Call) int { return steer(c, false) }

// LSB is sv under any other name: the init script of the service of that name.
func LSB(c *compat.Call) int { return steer(c, true) }

func steer(c *compat.Call, lsb bool) int {
	r := &run{out: c.Out, err: c.Err, name: c.Name, lsb: lsb, wait: seconds(os.Getenv("SVWAIT"), wait)}
	args, ok := r.options(c.Args)
	if ok && len(args) > 0 {
		services := args[1:]
		if lsb {
			services = []string{c.Name}
		}
		if cmd, known := parse(args[0], lsb); known && len(services) > 0 {
			return r.do(cmd, services)
		}
	}
	if lsb {
		fmt.Fprintf(c.Err, usageLSB, c.Name)
		return lsbUsage
	}
	fmt.Fprintf(c.Err, usageText, c.Name)
	return exitUsage
}

// options reads -v and -w SEC and returns the rest.
func (r *run) options(args []string) (rest []string, ok bool) {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "-" {
			break
		}
		for word != "" {
			letter := word[0]
			word = word[1:]
			switch letter {
			case 'v':
			case 'w':
				if word == "" {
					if len(args) == 0 {
						fmt.Fprintf(r.err, "%s: option requires an argument -- w\n", r.name)
						return nil, false
					}
					word, args = args[0], args[1:]
				}
				r.wait = seconds(word, r.wait)
				word = ""
			default:
				fmt.Fprintf(r.err, "%s: illegal option -- %c\n", r.name, letter)
				return nil, false
			}
			r.verbose = true
		}
	}
	return args, true
}

// seconds reads the number at the beginning of a text.
func seconds(text string, otherwise time.Duration) time.Duration {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := strconv.ParseInt(text[:digits], 10, 32)
	if err != nil {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

// target is one service that sv was given.
type target struct {
	typed  string
	by     supervisor
	dir    string // "": it has none
	before view   // before it was told anything
	over   bool
}

func (r *run) do(cmd command, services []string) int {
	began := time.Now()
	targets := make([]*target, len(services))
	for i, typed := range services {
		targets[i] = &target{typed: typed}
		if status, over := r.begin(cmd, targets[i]); over && r.lsb {
			return status
		}
	}
	if cmd.waits || r.verbose && !cmd.show {
		r.await(cmd, targets, began)
	}
	return min(r.failed, exitMost)
}

// begin shows or tells a service. As an init script that only shows, it is over
// with the exit status.
func (r *run) begin(cmd command, t *target) (status int, over bool) {
	var err error
	if t.by, t.dir, err = find(t.typed, true); err != nil {
		r.trouble(cmd, t, err)
		return lsbNoService, cmd.show
	}
	if t.before, err = t.by.look(); err != nil {
		r.trouble(cmd, t, err)
		if errors.Is(err, errDead) {
			return lsbDown, cmd.show
		}
		return lsbUnknown, cmd.show
	}
	if cmd.show {
		r.show(t)
		if t.before.Pid == 0 {
			return lsbDown, true
		}
		return 0, true
	}
	if err := t.by.tell(cmd.letters); cmd.letters != "" && err != nil {
		r.trouble(cmd, t, err)
	}
	return 0, false
}

// trouble prints why a service is not asked any further.
func (r *run) trouble(cmd command, t *target, err error) {
	t.over = true
	kind := "warning"
	var known *trouble
	if errors.As(err, &known) {
		kind = known.kind
	}
	if err == error(errDead) && cmd.goal == 'x' {
		kind = "ok" // that is what was asked for
	} else {
		r.failed++
	}
	fmt.Fprintf(r.out, "%s: %s: %v\n", kind, t.typed, err)
}

// show prints how a service and its logger are.
func (r *run) show(t *target) {
	text := line(t.typed, t.before)
	log, err := t.by.logger()
	var logs view
	if log != nil {
		logs, err = log.look()
	}
	switch {
	case err != nil: // no reason to call the service itself bad
		text += fmt.Sprintf("; warning: %s: %v", filepath.Join(t.typed, "log"), err)
	case log != nil:
		text += "; " + line("log", logs)
	}
	fmt.Fprintln(r.out, text)
}

// line is how sv tells of a service.
func line(name string, v view) string {
	text := v.State.String() + ": " + name + ": "
	if v.State != superdir.Down {
		text += fmt.Sprintf("(pid %d) ", v.Pid)
	}
	text += fmt.Sprintf("%ds", max(0, time.Now().Unix()-v.Since.Unix()))
	add := func(when bool, what string) {
		if when {
			text += ", " + what
		}
	}
	there := v.Pid != 0
	add(there && !v.normallyUp, "normally down")
	add(!there && v.normallyUp, "normally up")
	add(there && v.Paused, "paused")
	add(!there && v.WantUp, "want up")
	add(there && !v.WantUp, "want down")
	add(there && v.Termed, "got TERM")
	return text
}

// await looks again and again until all services are as asked for, or the time
// is up.
func (r *run) await(cmd command, targets []*target, began time.Time) {
	ends := began.Add(r.wait)
	for {
		left := 0
		for _, t := range targets {
			if t.over {
				continue
			}
			v, err := t.by.look()
			if err != nil {
				r.trouble(cmd, t, err)
				continue
			}
			switch {
			case met(cmd.goal, t, v, ends):
				r.say("ok: ", t, v)
			case time.Now().After(ends):
				r.failed++
				r.late(cmd, t, v)
			default:
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(pause)
	}
}

func (r *run) say(prefix string, t *target, v view) {
	t.over = true
	fmt.Fprintln(r.out, prefix+line(t.typed, v))
}

// late is for what is not as asked for when the time is up.
func (r *run) late(cmd command, t *target, v view) {
	if !cmd.kill {
		r.say("timeout: ", t, v)
		return
	}
	r.say("kill: ", t, v)
	if err := t.by.tell("k"); err != nil {
		r.trouble(cmd, t, err)
	}
}

// met tells whether a service is as asked for.
func met(goal byte, t *target, v view, ends time.Time) bool {
	up := func() bool { return v.State == superdir.Run && checked(t.dir, ends.Add(time.Second)) }
	down := v.State == superdir.Down
	switch goal {
	case 'u':
		return up()
	case 'd':
		return down
	case 'x': // a runsv goes; hotsvc stays, and the run that was there is over
		_, ours := t.by.(hotsvc)
		return ours && (down || v.Pid != t.before.Pid)
	case 'C':
		if v.WantUp {
			return up()
		}
		return down
	case 't', 'k':
		return down && !v.WantUp || !v.Termed && v.Pid != t.before.Pid && up()
	case 'o':
		if v.Pid != 0 {
			return !v.WantUp
		}
		return t.before.Pid != 0 || !v.Since.Equal(t.before.Since)
	case 'p':
		return v.Pid == 0 || v.Paused
	case 'c':
		return !v.Paused
	}
	return true
}
