package engine

import (
	"slices"
	"strings"

	"hotsvc/internal/hold"
)

// The naive side of what people and services ask for.

func (n *naive) call(c *Call) {
	if c.Verb == VerbSuspend || c.Verb == VerbResume {
		n.suspended = c.Verb == VerbSuspend
		return
	}
	s := c.Services[0]
	n.mention(s)
	switch c.Verb {
	case VerbRequire, VerbHold:
		by := c.holder()
		if inside, ok := strings.CutPrefix(by, "service:"); ok {
			if n.inner[s][inside] || n.waitsFor(s, inside, map[string]bool{}) {
				return // held already, or refused: a circle
			}
			n.hold(n.inner, s, inside)
		} else if n.person(s)[by] == 0 || strings.HasPrefix(by, "uid:") {
			n.person(s)[by]++
		} else {
			return // held already
		}
		if !c.NoWait {
			n.pending[c.ID] = c
		}
	case VerbRelease:
		n.unhold(s, c.holder())
	case VerbStart:
		n.caps[s] = ""
		delete(n.until, s)
		if !n.heldUp(s, map[string]bool{}) {
			n.person(s)[hold.Admin] = 1
		}
	case VerbStop, VerbBlock:
		delete(n.person(s), hold.Admin)
		if c.Verb == VerbStop && n.caps[s] == hold.CapBlock {
			return // the stronger one stays
		}
		delete(n.until, s)
		n.caps[s] = string(c.Verb)
		if c.Verb == VerbStop {
			n.behind(s, s, map[string]bool{})
		}
	case VerbOnce:
		if n.caps[s] != hold.CapBlock {
			n.caps[s] = hold.CapOnce
			delete(n.until, s)
		}
	case VerbExit:
		delete(n.person(s), hold.Admin)
		n.caps[s] = ""
		delete(n.until, s)
	case VerbUnblock:
		n.caps[s] = ""
		delete(n.until, s)
	}
}

// mention makes a service known, with those that it pulls up.
func (n *naive) mention(s string) {
	if _, ok := n.last[s]; ok {
		return
	}
	n.last[s] = hold.Down
	for _, t := range slices.Concat(n.shape.needs(s), n.shape.wants(s)) {
		n.mention(t)
	}
}

// behind notes the links that a stop waits for: those that hold the service, or
// something that pulls it up.
func (n *naive) behind(stopped, s string, seen map[string]bool) {
	if seen[s] {
		return
	}
	seen[s] = true
	for k := range n.holds {
		if k.service == s && (n.links[k.link] != nil || !n.listed["link"]) {
			n.hold(n.until, stopped, k.link)
		}
	}
	for d := range n.last {
		if slices.Contains(n.shape.needs(d), s) || slices.Contains(n.shape.wants(d), s) || n.inner[s][d] {
			n.behind(stopped, d, seen)
		}
	}
}

func (n *naive) unhold(s, by string) {
	if inside, ok := strings.CutPrefix(by, "service:"); ok {
		delete(n.inner[s], inside)
	} else if n.person(s)[by]--; n.persons[s][by] <= 0 {
		delete(n.persons[s], by)
	}
}

// undo ends what a require took that was not granted.
func (n *naive) undo(id int64) {
	if c := n.pending[id]; c != nil {
		n.unhold(c.Services[0], c.holder())
		delete(n.pending, id)
	}
}

// replied ends what requires took that were refused.
func (n *naive) replied(effects []Effect) {
	for _, e := range effects {
		switch {
		case e.Kind != EffectReply || e.Reply.More:
		case e.Reply.Code == CodeYes:
			delete(n.pending, e.Reply.ID)
		default:
			n.undo(e.Reply.ID)
		}
	}
}

func (n *naive) heldUp(s string, seen map[string]bool) bool {
	if seen[s] {
		return false
	}
	seen[s] = true
	for k, h := range n.holds {
		if k.service == s && h.level() == hold.Up {
			return true
		}
	}
	if len(n.persons[s]) > 0 {
		return true
	}
	for d := range n.last {
		if (slices.Contains(n.shape.needs(d), s) || slices.Contains(n.shape.wants(d), s) || n.inner[s][d]) && n.heldUp(d, seen) {
			return true
		}
	}
	return false
}

// waitsFor tells whether a circle would be closed.
func (n *naive) waitsFor(s, other string, seen map[string]bool) bool {
	if s == other {
		return true
	}
	if seen[s] {
		return false
	}
	seen[s] = true
	next := slices.Concat(n.shape.needs(s), n.shape.after(s))
	for t, by := range n.inner {
		if by[s] {
			next = append(next, t)
		}
	}
	return slices.ContainsFunc(next, func(t string) bool { return n.waitsFor(t, other, seen) })
}
