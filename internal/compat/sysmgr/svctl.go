package sysmgr

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hotsvc/internal/compat"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

const svctlUsage = `usage: svctl OPERATION SERVICE…

  start, up      run it, and again whenever it ends
  stop, down     end it, until start
  restart        end it and run it again
  kill           end it by KILL, until start
  once           run it to its end, and not again
  status, stat   say whether it runs; 1 unless all do

A service may be named by its path, as in: svctl status /var/sysmgr/*
`

// operations are what svctl does to one service. It does not wait until that is
// done, but for restart.
var operations = map[string]func(compat.Daemon, *status.Service) error{
	"start":   start,
	"up":      start,
	"stop":    stop,
	"down":    stop,
	"restart": restart,
	"kill":    kill,
	"once":    once,
	"status":  nil,
	"stat":    nil,
}

func svctl(c *compat.Call) int {
	switch {
	case len(c.Args) == 0, strings.HasPrefix(c.Args[0], "-"):
		fmt.Fprint(c.Out, svctlUsage)
		return 0
	case len(c.Args) == 1:
		fmt.Fprint(c.Out, svctlUsage)
		return failed
	}
	name := c.Args[0]
	do, known := operations[name]
	if !known {
		fmt.Fprintln(c.Err, "Unknown operation: "+name)
		return failed
	}
	d, exit := daemon(), 0
	for _, arg := range c.Args[1:] {
		s, err := d.Service(serviceOf(arg))
		if unreachable(c, err) {
			return failed
		}
		if do == nil {
			if err == nil && up(&s) {
				fmt.Fprintln(c.Err, arg+": UP")
			} else {
				fmt.Fprintln(c.Err, arg+": DOWN")
				exit = failed
			}
			continue
		}
		if err == nil {
			err = do(d, &s)
		}
		if err != nil {
			if !unreachable(c, err) {
				fmt.Fprintf(c.Err, "Couldn't %s %s\n", name, arg)
			}
			return failed
		}
	}
	return exit
}

// unreachable tells whether the daemon could not be asked, and says so.
func unreachable(c *compat.Call, err error) bool {
	var e *control.Error
	if !errors.As(err, &e) || e.Code != engine.CodeDaemon && e.Code != engine.CodeDenied {
		return false
	}
	if e.Lost {
		fmt.Fprintf(c.Err, "%s could not be found, are you sure sysmgr is running?\n", rundir())
	} else {
		fmt.Fprintln(c.Err, c.Name+": "+e.Text)
	}
	return true
}

// restartTime is how long a service may take to end and to start again.
const restartTime = time.Minute

func start(d compat.Daemon, s *status.Service) error {
	if up(s) && s.Want == "up" {
		return nil
	}
	return d.Do(engine.VerbStart, s.Name, 0)
}

func stop(d compat.Daemon, s *status.Service) error {
	if s.State == "down" && s.Want == "down" {
		return nil
	}
	return d.Do(engine.VerbStop, s.Name, 0)
}

// restart also starts what is down, and what runs once goes on running.
func restart(d compat.Daemon, s *status.Service) error {
	if s.Want != "up" {
		if err := d.Do(engine.VerbStart, s.Name, 0); err != nil || s.State == "down" {
			return err
		}
	}
	return d.Do(engine.VerbRestart, s.Name, restartTime)
}

// kill first takes the service down, so that its end is not made good.
func kill(d compat.Daemon, s *status.Service) error {
	if err := stop(d, s); err != nil {
		return err
	}
	p := control.Params{Services: []string{s.Name}, Signal: "KILL"}
	err := control.Ask(string(d), engine.VerbSignal, p, 0, nil)
	if compat.CodeOf(err) == engine.CodeNo { // it has no process
		return nil
	}
	return err
}

func once(d compat.Daemon, s *status.Service) error { return d.Do(engine.VerbOnce, s.Name, 0) }
