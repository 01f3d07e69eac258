package engine

import (
	"slices"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/status"
)

// fromInside puts off a call by which a service ends itself: the caller is
// answered first and goes down afterwards, with its own service.
func (c *Core) fromInside(call *Call) bool {
	p := c.Units[call.Peer.Service]
	if p == nil || call.ID == 0 {
		return false
	}
	needed := func(n string) bool { return c.Units[n] != nil && p.dependsOn(c.Units[n]) }
	switch {
	case call.Verb == VerbStopAll, call.Verb == VerbSuspend:
	case call.Verb == VerbStop, call.Verb == VerbBlock, call.Verb == VerbRestart, call.Verb == VerbRelease && p.want != hold.Up:
		if !slices.ContainsFunc(call.Services, needed) {
			return false
		}
	default:
		return false
	}
	later := *call
	c.Later = append(c.Later, later)
	c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: call.ID, Later: true,
		Value: []status.Done{{Service: p.Name, State: p.Shown, Text: "accepted: it is done when you have ended the connection"}}}})
	return true
}

// hangup ends the waits and monitors of a caller that is gone, and does what
// was put off until then.
func (c *Core) hangup(id int64) {
	c.Monitors = slices.DeleteFunc(c.Monitors, func(m monitor) bool { return m.ID == id })
	c.recorders = slices.DeleteFunc(c.recorders, func(r int64) bool { return r == id })
	for _, w := range c.Waits {
		switch u := c.Units[w.Service]; {
		case w.ID != id:
		case w.Goal == waitNothing && u != nil: // granted
			u.answered(w.Holder)
		case strings.HasPrefix(w.Holder, "service:"): // a pre that was killed while it waited comes again, and must find what it asked for on its way up
		default:
			c.abandon(w)
		}
	}
	c.Waits = slices.DeleteFunc(c.Waits, func(w wait) bool { return w.ID == id })
	if i := slices.IndexFunc(c.Later, func(l Call) bool { return l.ID == id }); i >= 0 {
		later := c.Later[i]
		c.Later = slices.Delete(c.Later, i, i+1)
		later.ID, later.NoWait = 0, true // nobody listens any more
		c.call(&later)
	}
}
