package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// quietTime is how long hsctl waits without a word of what for.
const quietTime = time.Second

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

// ask has the daemon answer one question, and says meanwhile what is waited for.
func (a *app) ask(verb engine.Verb, p control.Params, into any) error {
	patience := control.DefaultTimeout
	if a.timeout.given {
		patience = a.timeout.d
	}
	if control.Find(verb).Waits {
		p.NoWait = a.noWait
		if len(p.Services) > 0 {
			defer a.showProgress(p.Services)()
		}
	}
	return control.Ask(a.socketPath(), verb, p, patience, into)
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
func (a *app) printJSON(v any) error { return a.encode(v, "  ") }

// encode writes a value; without an indent it is one line. Like clean, it leaves
// nothing for a terminal to obey: JSON has \u for all that.
func (a *app) encode(v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range b.String() {
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(a.out, out.String())
	return err
}
