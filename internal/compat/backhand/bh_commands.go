package backhand

import (
	"fmt"
	"slices"
	"time"

	"hotsvc/internal/compat"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/service"
)

// start is bh-start. It returns when the service is up. One that is up, or
// crashed and has its next start before it, is started: nothing is done to it.
func start(o *order) error {
	if o.was.State == "backoff" {
		return nil
	}
	return o.startFailed(o.daemon.Do(engine.VerbStart, o.name, patience))
}

// stop is bh-stop. It returns when the service is down and its post is over,
// whatever requires it, and the counts stay as they are.
func stop(o *order) error {
	switch {
	case unknown(&o.was):
		return errNoRunDir
	case o.was.State == "down":
		return nil
	}
	return o.stopFailed(o.daemon.Do(engine.VerbStop, o.name, patience))
}

// stopall is bh-stopall. All are ordered down in one breath, so that hotsvc stops
// them side by side and what holds another before it; then each is waited for.
func stopall(c *compat.Call) int {
	daemon := compat.Daemon(layout.Socket())
	all, err := daemon.Services()
	if err != nil {
		return complain(c, err.Error())
	}
	var names []string
	for i := range all {
		s := &all[i]
		if s.Definition != nil && s.Definition.Dialect == string(service.Backhand) && here(s) && s.State != "down" {
			names = append(names, s.Name)
		}
	}
	for some := range slices.Chunk(names, 256) { // as many as one call may name
		if err := control.Ask(string(daemon), engine.VerbStop, control.Params{Services: some, NoWait: true}, 0, nil); err != nil {
			return complain(c, err.Error())
		}
	}
	status, ends := 0, time.Now().Add(patience)
	for _, name := range names {
		p := control.Params{Services: []string{name}, For: "down"}
		if err := control.Ask(string(daemon), engine.VerbWait, p, max(0, time.Until(ends)), nil); err != nil {
			status = complain(c, "failed to stop "+name)
		}
	}
	return status
}

// printStatus is bh-status.
func printStatus(o *order) error {
	if unknown(&o.was) {
		return errNoRunDir
	}
	_, err := fmt.Fprintln(o.Out, state(&o.was))
	return err
}

// require is bh-require. From a service's own scripts the hold is that service's;
// from elsewhere it is nobody's, counts, and outlives its caller. It returns when
// the service is up; else, and when the caller is killed before, it holds nothing.
// A stop is over with it, for so it was: the first to require a service started
// it. A block stays.
func require(o *order) error {
	if k := cappedBy(&o.was); k == "stop" || k == "once" {
		if err := o.daemon.Do(engine.VerbUnblock, o.name, 0); err != nil {
			return err
		}
	}
	return o.startFailed(o.daemon.Do(engine.VerbRequire, o.name, patience))
}

// release is bh-release. It returns when the service is down, if nothing else
// holds it. Where there is nothing to release it does nothing, and that is no
// failure: what bh-start started stays.
func release(o *order) error {
	if unknown(&o.was) {
		return errNoRunDir
	}
	err := o.daemon.Do(engine.VerbRelease, o.name, patience)
	if compat.CodeOf(err) != engine.CodeNo {
		return err
	}
	if state(&o.was) != "failed" && o.failedNow(err) != nil {
		return o.stopFailed(err)
	}
	return nil
}
