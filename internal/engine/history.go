package engine

import (
	"fmt"
	"slices"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Public states, as status prints them.
const (
	stateDown     = "down"
	stateWaiting  = "waiting"
	stateStarting = "starting"
	stateUp       = "up"
	stateStopping = "stopping"
	stateBackoff  = "backoff"
	stateFailed   = "failed"
	stateStuck    = "stuck"
)

// historyLength is how many transitions of a service are remembered.
const historyLength = 8

// public is a unit's state as people see it.
func (c *Core) public(u *Unit) string {
	m := &u.Machine
	switch m.State {
	case service.Pre, service.Starting:
		return stateStarting
	case service.Up:
		return stateUp
	case service.Stopping, service.Sweeping, service.Post:
		return stateStopping
	case service.Stuck:
		return stateStuck
	}
	switch {
	case m.Why == service.Failed && (u.latched() || m.Outcome == service.Refused):
		return stateFailed
	case u.pull() != hold.Up && !c.heldBack(u):
		return stateDown
	case m.Why == service.Backoff && u.latched():
		return stateBackoff
	case m.Why == service.Done && u.latched():
		return stateDown
	}
	return stateWaiting
}

// heldBack tells whether something that passes by itself keeps a service down
// that is held, or about to be: such a service waits, while one that nothing
// holds is unwanted.
func (c *Core) heldBack(u *Unit) bool {
	switch c.unwanted(u).kind {
	case "gate":
		return c.heldUp(u)
	case "settle", "damping":
		return true
	}
	return false
}

// shown notes the transitions that people can see.
func (c *Core) shown() {
	for _, u := range c.order {
		now := c.public(u)
		if now == u.Shown {
			continue
		}
		u.Changes++
		u.History = append(u.History, change{At: c.now.Wall, From: u.Shown, To: now, Reason: u.reason(c, now)})
		if n := len(u.History) - historyLength; n > 0 {
			u.History = append(u.History[:0], u.History[n:]...)
		}
		c.log("%s: %s → %s: %s", u.Name, u.Shown, now, u.History[len(u.History)-1].Reason)
		u.Shown, u.Since, u.dirty = now, c.now.Wall, true
	}
}

// reason is why a unit is in a public state, one line.
func (u *Unit) reason(c *Core, state string) string {
	switch state {
	case stateFailed:
		return u.failure()
	case stateBackoff:
		return u.lastExit()
	case stateWaiting:
		return c.obstacle(u).String()
	case stateStuck:
		return "KILL had no effect for 5 s"
	case stateStarting, stateUp:
		return c.heldFor(u)
	case stateDown, stateStopping:
		if u.want == hold.Up || u.want == hold.Keep {
			return u.lastEnd()
		}
		switch o := c.unwanted(u); {
		case o.kind == "gate":
			return o.String()
		case o.kind != "unwanted":
			return o.what
		case u.Because == "":
			return o.what
		}
	}
	return u.Because
}

// heldFor is what a running service runs for: its newest hold, or who needs it.
func (c *Core) heldFor(u *Unit) string {
	var newest *hold.Hold
	for i := range u.Holds {
		if h := &u.Holds[i]; h.Phase == hold.Held && (newest == nil || h.Number > newest.Number) {
			newest = h
		}
	}
	switch {
	case newest != nil && newest.Life.Key.ID != "":
		label := newest.Life.Key.String()
		if o := c.Objects.Get(newest.Life.Key); o != nil {
			label = o.Label()
		}
		return fmt.Sprintf("%s: %s (%s)", newest.Holder, label, said(newest.Cause))
	case newest != nil:
		return newest.Holder + " holds it"
	}
	for _, d := range u.neededBy {
		if d.want == hold.Up {
			return d.Name + " needs it"
		}
	}
	for _, d := range c.order {
		if d.want == hold.Up && slices.Contains(d.wants, u) {
			return d.Name + " wants it"
		}
	}
	return u.Because
}

// note remembers how a process ended, before the machine forgets what it was.
func (c *Core) note(u *Unit, e *service.Event) {
	m := &u.Machine
	switch e.Kind {
	case service.SpawnError:
		if m.Command == service.CommandPost { // says nothing about the run
			c.log("%s: exec_stop_post: %s", u.Name, e.Error)
			return
		}
		u.Exit = &exitRecord{What: "spawn", At: c.now.Wall, Text: e.Error}
	case service.Exited:
		text := fmt.Sprintf("%v %v", m.Command, e.Exit)
		if m.Command == service.CommandPost { // says nothing about the run
			if e.Exit.OK() {
				return
			}
			c.log("%s: exec_stop_post %v", u.Name, e.Exit)
			if u.eff.Policy.Manner.PostCounts && m.Outcome == service.Ordered { // the stop has failed by it
				u.Exit = &exitRecord{Exit: e.Exit, What: "post", At: c.now.Wall, Text: text}
			}
			return
		}
		lived := c.now.Mono - m.Since
		switch {
		case m.State == service.Up && m.Command == service.CommandMain && e.Exit.OK() && e.Left > 0 && lived < time.Second:
			text += fmt.Sprintf(" at once and left %d processes: it seems to daemonise; drop -B, -b or -d", e.Left)
		case m.State == service.Up || m.State == service.Starting:
			text += fmt.Sprintf(" after %v", brief(lived))
		}
		if m.State == service.Stopping && m.Outcome == service.Crash && u.Exit != nil {
			text = u.Exit.Text // it was late; how it ended then is our own doing
		}
		u.Exit = &exitRecord{Exit: e.Exit, What: m.Command.String(), At: c.now.Wall, Text: text}
	case service.Timer:
		switch m.State {
		case service.Pre:
			u.Exit = &exitRecord{What: "pre", At: c.now.Wall, Text: fmt.Sprintf("exec_start_pre did not end within %v", u.eff.Policy.PreTimeout)}
		case service.Starting:
			u.Exit = &exitRecord{What: "main", At: c.now.Wall, Text: fmt.Sprintf("not ready within start_timeout (%v)", u.eff.Policy.StartTimeout)}
		}
	}
}

// lastExit is how the last run failed.
func (u *Unit) lastExit() string {
	if u.Exit == nil {
		return "its last run failed"
	}
	return u.Exit.Text
}

// failure is how the last run failed, and whether it was the last of too many.
func (u *Unit) failure() string {
	m := &u.Machine
	n := len(m.Failures)
	if m.Why == service.Failed && m.Outcome == service.Crash && u.eff.Policy.GiveUpFailures > 0 && n >= u.eff.Policy.GiveUpFailures {
		return fmt.Sprintf("gave up after %d failures in %v: %s", n, brief(m.Failures[n-1]-m.Failures[0]), u.lastExit())
	}
	return u.lastExit()
}

// lastEnd is why a wanted service is on its way down.
func (u *Unit) lastEnd() string {
	for _, t := range u.needs {
		if t.Machine.State != service.Up || t.must {
			return fmt.Sprintf("needs %s, which is not up", t.Name)
		}
	}
	if u.Machine.Outcome == service.Ordered {
		return u.Because
	}
	return u.lastExit()
}

// said is what told of an object, for people.
func said(cause string) string {
	if cause == "list" {
		return "there already"
	}
	return cause
}

// place is where something is defined, for people: file:line.
func place(p toml.Pos) string { return toml.Pos{File: p.File, Line: p.Line}.String() }

// brief is a duration as people say it: no more than is worth reading.
func brief(d time.Duration) time.Duration {
	switch {
	case d > time.Minute:
		return d.Round(time.Second)
	case d > time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

func (c *Core) log(format string, args ...any) {
	c.emit(Effect{Kind: EffectLog, Text: fmt.Sprintf(format, args...)})
}
