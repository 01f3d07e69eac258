package engine

import (
	"fmt"
	"path"
	"slices"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
)

// goal is what a caller waits for.
type goal string

const (
	waitUp      goal = "up"
	waitDown    goal = "down"
	waitNew     goal = "new"      // up, in a run younger than the restart
	waitAllDown goal = "all-down" // every service
	waitNothing goal = "nothing"
)

// wait is one caller's, for one service. A call that names several has several;
// it is answered when none is left.
type wait struct {
	ID       int64         `json:"id"`
	Verb     Verb          `json:"verb"`
	Service  string        `json:"service"`
	All      []string      `json:"all"` // services of the call
	Goal     goal          `json:"goal"`
	Gen      int64         `json:"gen"`
	Deadline time.Duration `json:"deadline"` // monotonic; 0: none
	Once     bool          `json:"once"`     // answer now, whatever it is
	Met      bool          `json:"met"`      // it came; others of the call are still waited for
	Holder   string        `json:"holder"`   // whose hold ends when the wait fails
	From     string        `json:"from"`     // the service whose process waits
}

// lastPatience is how long a stop may take that has no bound of its own, when the
// daemon is to end: runit's services may ignore TERM for ever.
const lastPatience = 10 * time.Second

// bound gives every stop an end.
func (c *Core) bound() {
	for _, u := range c.order {
		if u.eff.Policy.ShutdownTimeout != service.Never {
			continue
		}
		u.eff.Policy.ShutdownTimeout = lastPatience
		if u.Machine.State == service.Stopping && u.Machine.Deadline == 0 {
			u.Machine.Deadline = c.now.Mono + lastPatience
		}
	}
}

func (c *Core) newWait(call *Call, name string, g goal) wait {
	w := wait{ID: call.ID, Verb: call.Verb, Service: name, All: call.Services, Goal: g, From: call.Peer.Service}
	switch {
	case call.NoWait:
		w.Goal = waitNothing
	case call.Timeout == 0:
		w.Once = true
	case call.Timeout > 0:
		w.Deadline = c.now.Mono + call.Timeout
	}
	return w
}

// verdict is what became of a wait.
type verdict struct {
	over bool
	code Code
	text string
}

// waits answers the calls whose services have all come where they should.
func (c *Core) waits() {
	for i := 0; i < len(c.Waits); {
		w := c.Waits[i]
		v := verdict{over: w.Met}
		if !w.Met {
			v = c.judgeWait(&w)
		}
		if !v.over {
			i++
			continue
		}
		if v.code != CodeYes {
			c.fail(w.ID, v)
			i = 0 // the call's other waits went with it
			continue
		}
		c.Waits[i].Met = true
		if slices.ContainsFunc(c.Waits, func(o wait) bool { return o.ID == w.ID && !o.Met }) {
			i++
			continue
		}
		for _, o := range c.Waits {
			if u := c.Units[o.Service]; u != nil && o.ID == w.ID {
				u.answered(o.Holder)
			}
		}
		c.Waits = slices.DeleteFunc(c.Waits, func(o wait) bool { return o.ID == w.ID })
		c.answer(w.ID, c.done(&w))
		c.replan = true // an instance may be forgotten now
		i = 0
	}
}

func (c *Core) answer(id int64, value any) {
	if id == 0 {
		return
	}
	c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: id, Value: value}})
}

func (c *Core) refuse(id int64, code Code, why string) {
	if id == 0 {
		return
	}
	c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: id, Code: code, Error: why}})
}

// cameUp meets the waits for a service at the moment when it comes up: it may be
// down again by the end of the Step, whose inputs are what came together.
func (c *Core) cameUp(u *Unit) {
	for i := range c.Waits {
		if w := &c.Waits[i]; w.Service == u.Name && !u.must && (w.Goal == waitUp || w.Goal == waitNew && u.Ran >= w.Gen) {
			w.Met = true
		}
	}
}

// fail ends a call: every hold that it took ends with it.
func (c *Core) fail(id int64, v verdict) {
	for _, w := range c.Waits {
		if w.ID == id {
			c.abandon(w)
		}
	}
	c.Waits = slices.DeleteFunc(c.Waits, func(w wait) bool { return w.ID == id })
	c.refuse(id, v.code, v.text)
}

func (c *Core) abandon(w wait) {
	if u := c.Units[w.Service]; u != nil && w.Holder != "" {
		u.answered(w.Holder)
		c.unhold(u, w.Holder)
	}
	c.replan = true
}

// answered notes that one who required the service hears what became of it: from
// then on it is his to release.
func (u *Unit) answered(holder string) {
	if h := u.heldBy(holder); h != nil && h.Asked > 0 {
		h.Asked--
		u.dirty = true
	}
}

func (c *Core) judgeWait(w *wait) verdict {
	if w.Goal == waitAllDown && c.Suspended == "" && !c.Shutdown {
		return verdict{true, CodeNo, "resumed before everything was down"}
	}
	if w.Goal == waitAllDown {
		return c.judgeAll(w)
	}
	u := c.Units[w.Service]
	if u == nil { // forgotten: nothing held it, and it rests
		if w.Goal == waitDown || w.Goal == waitNothing {
			return verdict{over: true}
		}
		return verdict{true, CodeNo, w.Service + " is down: nothing holds it"}
	}
	m := &u.Machine
	switch {
	case w.Goal == waitNothing,
		w.Goal == waitUp && m.State == service.Up && !u.must,
		w.Goal == waitNew && m.State == service.Up && u.Ran >= w.Gen && !u.must,
		w.Goal == waitDown && m.State == service.Rest && u.want != hold.Up && m.Outcome != service.Refused:
		return verdict{over: true}
	}
	if why := c.hopeless(w, u); why != "" {
		return verdict{true, CodeNo, why}
	}
	o := c.obstacle(u)
	if w.Once && w.Verb == VerbWait {
		return verdict{true, CodeNo, fmt.Sprintf("%s is %s", u.Name, c.public(u))}
	}
	if w.Once || w.Deadline > 0 && w.Deadline <= c.now.Mono {
		return verdict{true, CodeTimeout, fmt.Sprintf("%s is %s, not %s, and the time is up%s; see `hsctl why %s`",
			u.Name, c.public(u), w.Goal, colon(o.String()), u.Name)}
	}
	return verdict{}
}

func (c *Core) judgeAll(w *wait) verdict {
	var stuck []string
	for _, u := range c.order {
		switch m := &u.Machine; {
		case m.State == service.Stuck:
			stuck = append(stuck, u.Name)
		case m.State != service.Rest:
			if w.Deadline > 0 && w.Deadline <= c.now.Mono {
				return verdict{true, CodeTimeout, fmt.Sprintf("%s is still %s, and the time is up", u.Name, c.public(u))}
			}
			return verdict{}
		}
	}
	if len(stuck) > 0 {
		return verdict{true, CodeNo, fmt.Sprintf("everything is down but what even KILL does not end: %v", stuck)}
	}
	return verdict{over: true}
}

// hopeless says why what is waited for cannot come by itself, or "".
func (c *Core) hopeless(w *wait, u *Unit) string {
	m := &u.Machine
	if w.Goal == waitDown {
		switch {
		case m.State == service.Stuck:
			return u.Name + " is stuck: even KILL does not end it"
		case m.State == service.Rest && m.Outcome == service.Refused && u.want != hold.Up:
			return fmt.Sprintf("%s: exec_stop failed: %s", u.Name, u.lastExit())
		case w.Verb != VerbWait && u.want == hold.Up:
			return fmt.Sprintf("%s is to be up again: %s", u.Name, u.Because)
		}
		return ""
	}
	if w.Verb == VerbWait {
		return "" // waits for what may yet happen
	}
	if o := c.unwanted(u); u.ceiling == hold.Down && o.kind == "blocked" {
		if c.Suspended != "" {
			o.what += ": `hsctl resume` ends that"
		}
		return fmt.Sprintf("%s is down: %s", u.Name, o.what)
	}
	if t := u.gaveUp(); t != nil {
		return fmt.Sprintf("%s is %s: %s", t.Name, t.Machine.Why, t.lastExit())
	}
	return ""
}

// gaveUp finds the unit, itself or one that it needs, that does not start again
// by itself; nil if there is none.
func (u *Unit) gaveUp() *Unit {
	if u.Machine.State == service.Rest && u.latched() && u.Machine.Why != service.Backoff {
		return u
	}
	for _, t := range u.needs {
		if g := t.gaveUp(); g != nil {
			return g
		}
	}
	return nil
}

// done says what a call did, for each of its services.
func (c *Core) done(w *wait) []status.Done {
	if w.Goal == waitAllDown {
		return []status.Done{{State: stateDown, Text: "every service is down"}}
	}
	out := make([]status.Done, 0, len(w.All))
	for _, name := range w.All {
		d := status.Done{Service: name, State: stateDown, Text: "nothing holds it"}
		if u := c.Units[name]; u != nil {
			d.State, d.Text = c.public(u), u.Because
			if w.Verb == VerbReloadService {
				d.Text = u.eff.Policy.ReloadSignal + " sent"
			}
		}
		out = append(out, d)
	}
	return out
}

// monitor is one caller that wants to hear of transitions. It is told which
// services changed and their last change; what it missed shows in the counts.
type monitor struct {
	ID       int64            `json:"id"`
	Patterns []string         `json:"patterns"`
	Seen     map[string]int64 `json:"seen"`
}

func (c *Core) transitions() map[string]int64 {
	seen := make(map[string]int64, len(c.Units))
	for name, u := range c.Units {
		seen[name] = u.Changes
	}
	return seen
}

// monitors tells each monitor what changed since it was last told.
func (c *Core) monitors() {
	for i := range c.Monitors {
		m := &c.Monitors[i]
		for _, name := range c.names() {
			u := c.Units[name]
			if u.Changes == m.Seen[name] || !matchesAny(m.Patterns, name) {
				continue
			}
			m.Seen[name] = u.Changes
			last := u.History[len(u.History)-1]
			c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: m.ID, More: true, Value: status.Change{
				Service: name, At: last.At, From: last.From, To: last.To, Reason: last.Reason, Count: u.Changes}}})
		}
	}
}

// matchesAny tells whether a name matches one of the patterns; all match none.
func matchesAny(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil || p == name
	})
}
