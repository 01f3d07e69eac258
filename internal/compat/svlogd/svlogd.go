package svlogd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"hotsvc/internal/compat"
	"hotsvc/internal/svlog"
)

// Programs are the names this room answers to.
var Programs = map[string]compat.Program{"svlogd": run}

// failed is the exit status of everything that goes wrong.
const failed = 111

func run(c *compat.Call) int {
	o, err := parse(c.Args, c.Err)
	if err != nil {
		fmt.Fprintln(c.Err, err)
		return failed
	}
	l := &logger{o: o, stderr: c.Err}
	o.Warn = func(err error) { l.say("warning", err) }
	if o.verbose {
		o.Info = func(text string) { l.say("info", text) }
	}
	if err = l.begin(c.In); err == nil {
		err = l.loop()
	}
	for _, d := range l.dirs {
		if d.log == nil {
			continue
		}
		if err := d.log.Close(); err != nil {
			l.say("warning", err)
		}
	}
	if err != nil {
		l.say("fatal", err)
		return failed
	}
	return 0
}

// say writes to stderr in one call, for it comes from several goroutines.
func (l *logger) say(how string, what any) {
	fmt.Fprintf(l.stderr, "svlogd: %s: %v\n", how, what)
}

// begin catches the signals and opens the directories.
func (l *logger) begin(in io.Reader) error {
	var ok bool
	if l.in, ok = in.(*os.File); !ok {
		return errors.New("standard input is not a file")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	l.signals = r
	caught := make(chan os.Signal, 16)
	// SIGPIPE, because a stderr that nobody reads is no reason to lose a log.
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGALRM, syscall.SIGPIPE)
	go func() {
		for s := range caught {
			w.Write([]byte{byte(s.(syscall.Signal))})
		}
	}()
	l.buf = make([]byte, 0, max(chunk, 2*l.o.LineLen))
	for _, path := range l.o.dirs {
		l.dirs = append(l.dirs, &dir{path: path})
	}
	return l.open()
}

// open opens the directories again, or for the first time.
func (l *logger) open() error {
	usable := 0
	for _, d := range l.dirs {
		var err error
		if d.log == nil {
			d.log, err = svlog.Open(d.path, l.o.Options)
		} else {
			err = d.log.Reopen()
		}
		if err != nil {
			d.log = nil
			l.say("warning", fmt.Errorf("%w; nothing is logged there", err))
			continue
		}
		usable++
	}
	if usable == 0 {
		return errors.New("no log directory is usable")
	}
	return nil
}
