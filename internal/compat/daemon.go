package compat

import (
	"errors"
	"time"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// Daemon is the hotsvc that listens on a control socket.
type Daemon string

// Do has it do one thing to a service. A verb that waits does so for as long as
// patience says; less than 0 is for ever, and 0 returns when it is ordered. The
// error is a *control.Error.
func (d Daemon) Do(verb engine.Verb, service string, patience time.Duration) error {
	waits := control.Find(verb).Waits
	return control.Ask(string(d), verb, control.Params{Services: []string{service}, NoWait: waits && patience == 0}, patience, nil)
}

// Services tells how all services are that there are now.
func (d Daemon) Services() ([]status.Service, error) {
	var r status.Report
	err := control.Ask(string(d), engine.VerbStatus, control.Params{}, 0, &r)
	return r.Services, err
}

// Service tells how one is. Of one that there is not, or whose files are gone,
// the error has CodeUnknown.
func (d Daemon) Service(name string) (status.Service, error) {
	var r status.Report
	if err := control.Ask(string(d), engine.VerbStatus, control.Params{Services: []string{name}}, 0, &r); err != nil {
		return status.Service{}, err
	}
	for _, s := range r.Services { // a name may be a pattern, too
		if s.Name == name && s.Definition != nil {
			return s, nil
		}
	}
	return status.Service{}, &control.Error{Code: engine.CodeUnknown, Text: "no service " + name + ": `hsctl status` lists what there is"}
}

// CodeOf is how a call failed.
func CodeOf(err error) engine.Code {
	var e *control.Error
	if !errors.As(err, &e) {
		return engine.CodeYes
	}
	return e.Code
}
