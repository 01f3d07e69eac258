package backhand

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hotsvc/internal/compat"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/status"
)

// patience is how long a command waits. pre, post and TERM have ten seconds
// each, so it is over only when other services are waited for.
const patience = time.Minute

// failed is the exit status of all these commands that is not 0.
const failed = 1

// order is one command about one service.
type order struct {
	*compat.Call
	daemon compat.Daemon
	name   string
	was    status.Service // how it was when the command began
}

// about makes a program of what a command does to the service that is its one
// argument.
func about(do func(*order) error) compat.Program {
	return func(c *compat.Call) int {
		if len(c.Args) != 1 {
			fmt.Fprintf(c.Err, "usage: %s <service>\n", c.Name)
			return failed
		}
		o := &order{Call: c, daemon: compat.Daemon(layout.Socket()), name: c.Args[0]}
		var err error
		if o.was, err = o.daemon.Service(o.name); err == nil && !here(&o.was) {
			err = errNoService
		}
		if err == nil {
			err = do(o)
		}
		if compat.CodeOf(err) == engine.CodeUnknown {
			err = errNoService
		}
		if err != nil {
			return complain(c, err.Error())
		}
		return 0
	}
}

func complain(c *compat.Call, text string) int {
	fmt.Fprintf(c.Err, "%s: %s\n", c.Path, text)
	return failed
}

// What the commands have always said, word for word.
var (
	errNoService  = errors.New("no such service")
	errNoRunDir   = errors.New("service runtime dir does not exist")
	errPreFailed  = errors.New("pre failed")
	errRunFailed  = errors.New("run failed")
	errStopFailed = errors.New("stop failed")
	errPostFailed = errors.New("post failed")
)

// here tells whether a service is of the directory that the caller means by
// $SERVICE_DIR. Without one it may be any that hotsvc knows, of any dialect.
func here(s *status.Service) bool {
	dir := os.Getenv("SERVICE_DIR")
	if dir == "" {
		return true
	}
	if s.Definition == nil || s.Definition.Dir == nil {
		return false
	}
	name, _, _ := strings.Cut(s.Name, "@")
	mine, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	its, err := os.Stat(*s.Definition.Dir)
	return err == nil && os.SameFile(mine, its)
}

// unknown tells whether nothing ever referred to a service, as far as hotsvc
// remembers: that is what a runtime directory that is not there was. An instance
// is forgotten when nothing refers to it any more.
func unknown(s *status.Service) bool {
	return s.State == "down" && len(s.Holds) == 0 && len(s.History) == 0 && s.Exit == nil && cappedBy(s) == ""
}

// cappedBy is what people said against a service itself: stop, block or once.
func cappedBy(s *status.Service) string {
	if s.Blocked == nil || s.Blocked.Kind == "suspend" || s.Blocked.Kind == "masked" {
		return ""
	}
	return s.Blocked.Kind
}

// state is a service's in one of backhand's three words. What crashed and waits
// for its next start is started, what is on its way down is stopped, and so is
// what failed to start and was stopped since.
func state(s *status.Service) string {
	switch s.State {
	case "failed":
		if cappedBy(s) == "stop" && neverRan(s.Exit) {
			return "stopped"
		}
		return "failed"
	case "stuck":
		return "failed"
	case "down":
		return "stopped"
	case "stopping":
		if s.Want != "up" {
			return "stopped"
		}
	}
	return "started"
}

// neverRan tells whether the last run ended before its main process began.
func neverRan(x *status.Exit) bool {
	return x != nil && (x.What == "spawn" || x.What == "pre" && (x.Code == nil || *x.Code != 0))
}

// startFailed turns the daemon's answer to a start into backhand's words.
func (o *order) startFailed(err error) error {
	if now := o.failedNow(err); now != nil {
		if now.Exit != nil && now.Exit.What == "pre" {
			return errPreFailed
		}
		return errRunFailed
	}
	return err
}

// stopFailed does so for a stop.
func (o *order) stopFailed(err error) error {
	if now := o.failedNow(err); now != nil {
		if now.State == "stuck" {
			return errStopFailed
		}
		return errPostFailed
	}
	return err
}

// failedNow is the service if the daemon said no because it failed.
func (o *order) failedNow(err error) *status.Service {
	if compat.CodeOf(err) != engine.CodeNo {
		return nil
	}
	now, err := o.daemon.Service(o.name)
	if err != nil || state(&now) != "failed" {
		return nil
	}
	return &now
}
