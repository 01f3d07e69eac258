package main

import (
	"bytes"
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
	answerTime = 20 * time.Second // for an answer that nothing waits for
	quietTime  = time.Second      // without a word of what is being waited for
)

// ask has the daemon answer one question. When the daemon goes away before it
// has answered, as it does when it is upgraded, and asking twice does no harm,
// hsctl asks the next one.
func (a *app) ask(verb engine.Verb, p control.Params, into any) error {
	op := control.Find(verb)
	ctx := context.Background()
	var ends time.Time // of the wait
	if op.Waits {
		p.NoWait = a.noWait
	}
	switch wait := a.patience(); {
	case !op.Waits:
		ends = time.Now()
	case wait >= 0:
		ends = time.Now().Add(wait)
	}
	if !ends.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, ends.Add(answerTime))
		defer cancel()
	}
	var brokeAt time.Time
	for {
		if op.Waits {
			p.Timeout = remaining(ends)
			if *p.Timeout == 0 && a.patience() != 0 {
				*p.Timeout = 1 // nearly over is not "only ask"
			}
		}
		reached, err := a.askOnce(ctx, op, p, into)
		var failed *control.Error
		if err == nil || !errors.As(err, &failed) || !failed.Lost || !repeatable(verb, p) {
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

// patience is how long a verb waits; negative for ever.
func (a *app) patience() time.Duration {
	if a.timeout.given {
		return a.timeout.d
	}
	return control.DefaultTimeout
}

// askOnce asks once. reached tells whether there was a daemon to ask.
func (a *app) askOnce(ctx context.Context, op *control.Operation, p control.Params, into any) (reached bool, err error) {
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return false, err
	}
	defer c.Close()
	if op.Waits && len(p.Services) > 0 {
		defer a.showProgress(p.Services)()
	}
	return true, c.Call(ctx, op.Verb, p, into)
}

// remaining is the time until then in the form that goes over the wire.
func remaining(ends time.Time) *int64 {
	ms := int64(-1)
	if !ends.IsZero() {
		ms = max(0, int64((time.Until(ends)+time.Millisecond/2)/time.Millisecond))
	}
	return &ms
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
			if line := a.progress(ctx, names); line != "" {
				shown = true
				fmt.Fprintf(a.err, "\r\x1b[K%s", cut(line, width(a.err)))
			}
		}
	}()
	return func() { cancel(); <-done }
}

// progress is a line about the services that are on their way.
func (a *app) progress(ctx context.Context, names []string) string {
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return ""
	}
	defer c.Close()
	var report status.Report
	if c.Call(ctx, engine.VerbStatus, control.Params{Services: names}, &report) != nil {
		return ""
	}
	var parts []string
	for i := range report.Services {
		s := &report.Services[i]
		what := s.State
		if len(s.WaitingFor) > 0 {
			what = waiting(s.WaitingFor[0])
		}
		parts = append(parts, s.Name+": "+what)
	}
	if len(parts) == 0 {
		return ""
	}
	return clean("waiting for " + strings.Join(parts, "; "))
}

// printJSON writes the daemon's own JSON, indented.
func (a *app) printJSON(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := a.out.Write(out.Bytes())
	return err
}
