package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
)

// DefaultTimeout is how long a verb waits that is not told.
const DefaultTimeout = time.Minute

// handle answers one message. False means that the connection ends.
func (c *conn) handle(ctx context.Context, message []byte) bool {
	var m request
	if err := json.Unmarshal(message, &m); err != nil {
		c.refuse(fmt.Errorf("this is no varlink call: %w", err))
		return false
	}
	if m.Oneway {
		return c.call(ctx, m, func(response) bool { return true })
	}
	return c.call(ctx, m, c.send)
}

// call finds what is asked for and has it answered.
func (c *conn) call(ctx context.Context, m request, send func(response) bool) bool {
	dot := strings.LastIndexByte(m.Method, '.')
	if dot < 0 {
		return send(invalidParameter("method"))
	}
	name, method := m.Method[:dot], m.Method[dot+1:]
	if c.caller.access == none {
		return send(failed(engine.CodeDenied, c.caller.who()+" may not ask: only root, the daemon's user and the socket's group may"))
	}
	switch {
	case m.Method == serviceInterface+".GetInfo":
		return send(c.server.info())
	case m.Method == serviceInterface+".GetInterfaceDescription":
		return send(c.server.describe(m.Parameters))
	case name != Interface && name != serviceInterface:
		return send(response{Error: serviceInterface + ".InterfaceNotFound", Parameters: map[string]any{"interface": name}})
	}
	i := slices.IndexFunc(Operations, func(o Operation) bool { return o.Method == method })
	if name != Interface || i < 0 {
		return send(response{Error: serviceInterface + ".MethodNotFound", Parameters: map[string]any{"method": m.Method}})
	}
	op := &Operations[i]
	if op.Access > c.caller.access {
		return send(failed(engine.CodeDenied, fmt.Sprintf("%s may not %s: only %s may", c.caller.who(), op.Verb, op.Access)))
	}
	if op.Streams && (!m.More || m.Oneway) {
		return send(response{Error: serviceInterface + ".ExpectedMore"})
	}
	call, bad := op.read(m.Parameters)
	if bad != nil {
		return send(*bad)
	}
	call.Peer = c.caller.Peer
	if m.Oneway {
		call.NoWait = true // nobody is there to wait
	}
	if op.Verb == Reload {
		return send(op.answer(c.server.reload(ctx)))
	}
	if op.Verb == Upgrade {
		return c.upgrade(ctx, op, m.Parameters, send)
	}
	if why := c.namelessHold(call); why != "" {
		return send(failed(engine.CodeDenied, why))
	}
	gone := c.in.gone
	if m.Oneway {
		gone = nil // hanging up is what such a caller does, and takes nothing back
	}
	return c.ask(ctx, op, call, gone, send)
}

// upgrade answers first, and then lets the other program go on.
func (c *conn) upgrade(ctx context.Context, op *Operation, raw json.RawMessage, send func(response) bool) bool {
	var p Params
	if len(raw) > 0 {
		json.Unmarshal(raw, &p) // read has found it good
	}
	if c.server.Upgrade == nil {
		return send(failed(engine.CodeDaemon, "this daemon cannot upgrade"))
	}
	proceed, err := c.server.Upgrade(ctx, p.Binary)
	if err != nil {
		return send(failed(engine.CodeNo, err.Error()))
	}
	defer proceed()
	return send(op.answer(engine.Reply{Value: []status.Done{{Text: "goes on as another program"}}}))
}

// namelessHold refuses a hold in the name of a process that has no name here.
func (c *conn) namelessHold(call engine.Call) string {
	if call.Verb != engine.VerbHold && (call.Verb != engine.VerbRequire || call.As != "") {
		return ""
	}
	switch {
	case c.caller.Client.Pid == 0:
		return "the caller is in another pid namespace, so the hold would have no owner: use require with --as NAME"
	case c.caller.Client.Started == 0 && call.Verb == engine.VerbHold:
		return "the calling process is gone"
	}
	return ""
}

// ask posts a call and sends on what the engine replies, until the last reply
// or until the caller hangs up.
func (c *conn) ask(ctx context.Context, op *Operation, call engine.Call, gone <-chan struct{}, send func(response) bool) bool {
	id, box := c.server.expect()
	defer c.server.forget(id)
	call.ID = id
	if op.Waits && !call.NoWait {
		defer c.server.park(c)()
	}
	c.server.Post(engine.Input{Call: &call})
	for {
		select {
		case <-box.bell:
		case <-gone:
			if ctx.Err() == nil {
				c.server.Post(engine.Input{Hangup: id})
			}
			return false
		case <-ctx.Done():
			return false // the daemon ends: callers ask the next one
		}
		part, last := box.take()
		if part != nil && !send(op.answer(engine.Reply{More: true, Value: part})) {
			if last == nil && ctx.Err() == nil {
				c.server.Post(engine.Input{Hangup: id})
			}
			return false
		}
		if last == nil {
			continue
		}
		if c.server.Finish != nil && last.Value != nil {
			last.Value = c.server.Finish(last.Value)
		}
		sent := send(op.answer(*last))
		return c.afterwards(ctx, *last) && sent
	}
}

// afterwards lets the engine do what it has put off until the caller, whom it
// will end, has had his answer and hung up (S40).
func (c *conn) afterwards(ctx context.Context, r engine.Reply) bool {
	if !r.Later {
		return true
	}
	select {
	case <-c.in.gone:
	case <-time.After(hangupTime):
	case <-ctx.Done():
	}
	c.server.Post(engine.Input{Hangup: r.ID})
	return true
}

// read turns parameters into a call, or says what is wrong with them.
func (o *Operation) read(raw json.RawMessage) (engine.Call, *response) {
	var p Params
	if len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil && err != io.EOF {
			r := invalidParameter(badField(err))
			return engine.Call{}, &r
		}
	}
	given := reflect.ValueOf(p)
	for i := range given.NumField() {
		name := wireName(given.Type().Field(i))
		if name != "services" && !given.Field(i).IsZero() && !slices.Contains(o.parameters(), name) {
			r := invalidParameter(name)
			return engine.Call{}, &r
		}
	}
	if why := o.check(p); why != "" {
		r := failed(engine.CodeUsage, why)
		return engine.Call{}, &r
	}
	call := engine.Call{
		Verb: o.Verb, Services: p.Services, As: p.As, For: p.For, Not: p.Not, Signal: p.Signal, Kind: p.Kind, Match: p.Match, NoWait: p.NoWait,
	}
	if o.Waits {
		call.Timeout = DefaultTimeout
		if p.Timeout != nil {
			call.Timeout = milliseconds(*p.Timeout)
		}
	}
	return call, nil
}

// milliseconds is that long; negative, or longer than anybody lives, for ever.
func milliseconds(n int64) time.Duration {
	if n < 0 || n > int64(100*365*24*time.Hour/time.Millisecond) {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

// check says in a line what makes no sense about the parameters.
func (o *Operation) check(p Params) string {
	switch {
	case o.Waits && o.Verb != engine.VerbWait && p.Timeout != nil && *p.Timeout == 0:
		return fmt.Sprintf("%s does something, so it cannot just ask: give it time, or do not wait (no_wait, --no-wait)", o.Verb)
	case o.Names == NoNames && len(p.Services) > 0:
		return fmt.Sprintf("%s takes no service", o.Verb)
	case o.Names == OneName && len(p.Services) != 1:
		return fmt.Sprintf("%s takes one service", o.Verb)
	case o.Names == AllNames && len(p.Services) == 0:
		return fmt.Sprintf("%s takes at least one service", o.Verb)
	case len(p.Services) > 1000:
		return "more than 1000 services in one call"
	case p.For != "" && p.For != "up" && p.For != "down":
		return fmt.Sprintf("for %q: write up or down", p.For)
	case p.Kind != "" && !slices.Contains(object.Kinds, object.Kind(p.Kind)):
		return fmt.Sprintf("there are no objects of kind %q: only device, link, mount and clock", p.Kind)
	case p.As != "" && !printable(p.As):
		return fmt.Sprintf("as %q: a holder's name is printable and has at most 255 bytes", p.As)
	}
	for _, s := range p.Services {
		if !printable(s) {
			return fmt.Sprintf("%.80q is no name for a service: names are printable and have at most 255 bytes", s)
		}
	}
	return ""
}

func printable(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// badField finds the parameter that encoding/json complains about.
func badField(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok && e.Field != "" {
		return e.Field
	}
	if _, name, ok := strings.Cut(err.Error(), `unknown field "`); ok {
		return strings.TrimSuffix(name, `"`)
	}
	return "parameters"
}
