package runit

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
	"hotsvc/internal/superdir"
)

// hotsvc is a service of the daemon's.
type hotsvc struct {
	socket string
	name   string
	dir    string // its own, or ""
}

// passing is how long is looked for more than what is on its way to something else.
const passing = 200 * time.Millisecond

// ask returns what the daemon says of services, by name. Whether there is a
// daemon and whether it may be asked makes no difference to those that have a
// supervise/.
func ask(socket string, names ...string) (map[string]*status.Service, error) {
	var report status.Report
	if err := control.Ask(socket, engine.VerbStatus, control.Params{Services: names}, 0, &report); err != nil {
		return nil, err
	}
	out := map[string]*status.Service{}
	for i := range report.Services {
		if s := &report.Services[i]; slices.Contains(names, s.Name) { // a name may look like a pattern
			out[s.Name] = s
		}
	}
	return out, nil
}

func (h hotsvc) look() (v view, err error) {
	var s *status.Service
	for range passing / pause {
		found, err := ask(h.socket, h.name)
		if err != nil {
			return view{}, &trouble{"warning", err.Error()}
		}
		if s = found[h.name]; s == nil {
			return view{}, errDead
		}
		if v.Status = superdir.Of(s); !v.Passing() {
			break
		}
		time.Sleep(pause)
	}
	if d := s.Definition; d != nil {
		v.normallyUp = d.AtBoot
		if d.Dir != nil && d.Dialect == string(service.Runit) && !d.Masked {
			v.normallyUp = normallyUp(*d.Dir)
		}
	}
	return v, nil
}

func (h hotsvc) tell(letters string) error {
	for i := range len(letters) {
		call, known := superdir.Command(h.name, letters[i])
		if !known {
			continue
		}
		op := control.Find(call.Verb)
		err := control.Ask(h.socket, call.Verb, control.Params{Services: call.Services, Signal: call.Signal, NoWait: op.Waits}, 0, nil)
		var failed *control.Error
		switch {
		case errors.As(err, &failed) && failed.Code == engine.CodeNo && call.Verb == engine.VerbSignal:
			// nothing runs, so nothing is sent: runsv does not mind either
		case errors.As(err, &failed) && failed.Code == engine.CodeDenied:
			if h.dir == "" {
				return &trouble{"warning", err.Error()}
			}
			return directory(h.dir).tell(letters[i:]) // its modes let in whom they let in
		case err != nil:
			return &trouble{"warning", err.Error()}
		}
	}
	return nil
}

// dirOf is a service's own directory, or "".
func dirOf(s *status.Service) string {
	if s == nil || s.Definition == nil || s.Definition.Dir == nil {
		return ""
	}
	return *s.Definition.Dir
}

func (h hotsvc) logger() (supervisor, error) {
	name := service.LoggerOf(h.name)
	found, err := ask(h.socket, name)
	if err != nil || found[name] == nil {
		return nil, nil // it just told how the service is: there is no logger, then
	}
	return hotsvc{h.socket, name, dirOf(found[name])}, nil
}

// ofDaemon finds the service that lives in a directory. Its name is the last
// part of the path, as it was typed: one directory may be several services, by
// links to it.
func ofDaemon(socket, dir string) (h hotsvc, err error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return h, err
	}
	name := filepath.Base(whole)
	logger := service.LoggerOf(filepath.Base(filepath.Dir(whole)))
	found, err := ask(socket, name, logger)
	if err != nil {
		return h, err
	}
	for _, name := range []string{logger, name} {
		if s := found[name]; s != nil && livesIn(s, whole) && !(refused(s) && directory(dir).alive() == nil) {
			return hotsvc{socket, name, dirOf(s)}, nil
		}
	}
	return h, nil
}

// refused tells whether the daemon knows a service and does not run it: another
// may supervise its directory.
func refused(s *status.Service) bool { return s.Definition != nil && s.Definition.Masked }

// livesIn tells whether a service is the one of a directory: it runs there, or
// its definition is there.
func livesIn(s *status.Service, dir string) bool {
	if strings.HasSuffix(s.Name, service.LoggerOf("")) != (filepath.Base(dir) == "log") {
		return false
	}
	here, err := os.Stat(dir)
	if err != nil || dirOf(s) == "" {
		return false
	}
	for _, its := range []string{dirOf(s), filepath.Dir(s.Definition.File)} {
		if there, err := os.Stat(its); err == nil && os.SameFile(here, there) {
			return true
		}
	}
	return false
}
