package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

const (
	againTime  = 2 * time.Second // how long hsctl asks again when a daemon goes away
	againPause = 50 * time.Millisecond
	busyTime   = 10 * time.Second // how long it asks again where there is no room
	answerTime = 20 * time.Second // for an answer that nothing waits for
	quietTime  = time.Second      // without a word of what is being waited for
)

// show asks one question and prints what is answered: the daemon's own JSON, or
// what text makes of it. An error may come with an answer, as from why.
func show[T any](a *app, verb engine.Verb, p control.Params, text func(T)) (answer T, err error) {
	var raw json.RawMessage
	err = a.ask(verb, p, &raw)
	if raw == nil {
		return answer, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, err
	}
	if a.json {
		return answer, errors.Join(a.printJSON(raw), err)
	}
	text(answer)
	return answer, err
}

// ask has the daemon answer one question. When the daemon goes away before it
// has answered, as it does when it is upgraded, and asking twice does no harm,
// hsctl asks the next one.
func (a *app) ask(verb engine.Verb, p control.Params, into any) error {
	op := control.Find(verb)
	var ends time.Time // of the wait; zero for never
	patience := time.Duration(0)
	if op.Waits {
		p.NoWait = a.noWait
		patience = control.DefaultTimeout
		if a.timeout.given {
			patience = a.timeout.d
		}
	}
	ctx := context.Background()
	if patience >= 0 {
		ends = time.Now().Add(patience)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, ends.Add(answerTime))
		defer cancel()
	}
	return again(func() (reached bool, err error) {
		if op.Waits {
			left := int64(-1)
			switch {
			case patience == 0:
				left = 0
			case patience > 0: // nearly over is not "only ask"
				left = max(1, time.Until(ends).Milliseconds())
			}
			p.Timeout = &left
		}
		c, err := control.Dial(ctx, a.socketPath())
		if err != nil {
			return false, err
		}
		defer c.Close()
		if op.Waits && len(p.Services) > 0 {
			defer a.showProgress(p.Services)()
		}
		return true, c.Call(ctx, verb, p, into)
	}, repeatable(verb, p))
}

// again does what a daemon's end may break; where it may be repeated, with the
// next daemon. Where there was no room nothing was done, so that may be repeated
// always: many callers at once are nothing unusual when a machine boots.
func again(do func() (reached bool, err error), repeatable bool) error {
	began := time.Now()
	var brokeAt time.Time
	for {
		reached, err := do()
		var failed *control.Error
		if errors.As(err, &failed) && failed.Busy && time.Since(began) < busyTime {
			time.Sleep(againPause)
			continue
		}
		if !repeatable || !errors.As(err, &failed) || !failed.Lost {
			return err
		}
		if reached {
			brokeAt = time.Now()
		}
		if brokeAt.IsZero() || time.Since(brokeAt) > againTime {
			return err
		}
		time.Sleep(againPause)
	}
}

// repeatable tells whether asking twice is the same as asking once. A counted
// hold is not, and a restart is one more restart.
func repeatable(verb engine.Verb, p control.Params) bool {
	switch verb {
	case engine.VerbRequire, engine.VerbRelease:
		return p.As != ""
	case engine.VerbRestart, engine.VerbReloadService:
		return false
	}
	return true
}

// services asks how services are, all or those that match, beside the question
// that hsctl was given: no answer at once is no answer.
func (a *app) services(ctx context.Context, patterns ...string) []status.Service {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return nil
	}
	defer c.Close()
	var report status.Report
	if c.Call(ctx, engine.VerbStatus, control.Params{Services: patterns}, &report) != nil {
		return nil
	}
	return report.Services
}

// showProgress says on a terminal what is being waited for, once it takes
// longer than a second. The function that it returns ends that.
func (a *app) showProgress(names []string) (end func()) {
	if !isTerminal(a.err) || a.json {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan bool)
	go func() {
		defer close(done)
		shown := false
		for {
			select {
			case <-ctx.Done():
				if shown {
					fmt.Fprint(a.err, "\r\x1b[K")
				}
				return
			case <-time.After(quietTime):
			}
			var parts []string
			for _, s := range a.services(ctx, names...) {
				what := s.State
				if len(s.WaitingFor) > 0 {
					what = waiting(s.WaitingFor[0])
				}
				parts = append(parts, s.Name+": "+what)
			}
			if len(parts) > 0 {
				shown = true
				fmt.Fprintf(a.err, "\r\x1b[K%s", cut(clean("waiting for "+strings.Join(parts, "; ")), width(a.err)))
			}
		}
	}()
	return func() { cancel(); <-done }
}

// printJSON writes a value, or what the daemon has written, for scripts.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
