package engine

import (
	"slices"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// The naive side, second half: what follows from what it was told.

func (h *naiveHold) level() hold.Level {
	if h.provisional || h.settles > 0 || h.ends > 0 {
		return hold.Keep
	}
	return hold.Up
}

// tick lets time pass.
func (n *naive) tick(now time.Duration) {
	n.now = now
	for k, h := range n.holds {
		if h.ends > 0 && h.ends <= now {
			delete(n.holds, k)
		}
		if h.settles > 0 && h.settles <= now {
			h.settles = 0
		}
	}
	for s, g := range n.shape.gates {
		n.askGate(s, g)
	}
}

func (n *naive) askGate(s string, g service.Gate) {
	st := n.gates[s]
	if st == nil {
		st = &naiveGate{}
		n.gates[s] = st
	}
	open, known := n.mount != g.Absent, n.mount || n.state["mount"] == object.Synced
	switch {
	case !known:
		st.known = false
	case open:
		*st = naiveGate{true, true, true, 0}
	default:
		if st.open && st.left == 0 {
			st.left = n.now
		}
		st.known, st.open = true, st.open && n.now < st.left+g.Linger
		if !st.open {
			st.left = 0
		}
	}
}

func (n *naive) gate(s string) hold.Level {
	g, ok := n.shape.gates[s]
	st := n.gates[s]
	switch {
	case !ok, g.Once && st.was:
		return hold.Up
	case !st.known, st.left > 0:
		return hold.Keep
	case st.open:
		return hold.Up
	}
	return hold.Down
}

func (n *naive) cap(s string) hold.Level {
	if n.suspended || n.caps[s] != "" && n.caps[s] != hold.CapOnce {
		return hold.Down
	}
	level := n.uncapped(s)
	if n.caps[s] == hold.CapOnce {
		level = min(level, hold.Keep)
	}
	return level
}

// uncapped is how much a service may be but for what people said of it.
func (n *naive) uncapped(s string) hold.Level {
	if n.suspended {
		return hold.Down
	}
	level := n.gate(s)
	for _, t := range n.shape.needs(s) {
		level = min(level, n.cap(t))
	}
	return level
}

// want is what the service is to be, by recursion over what holds it.
func (n *naive) want(s string, core *Core, path []string) hold.Level {
	if slices.Contains(path, s) {
		return hold.Down
	}
	path = append(path, s)
	ceiling := n.cap(s)
	level := hold.Down
	for k, h := range n.holds {
		if k.service == s {
			level = max(level, h.level())
		}
	}
	if len(n.persons[s]) > 0 {
		level = hold.Up
	}
	if n.caps[s] == hold.CapOnce {
		level = max(level, hold.Keep)
	}
	for d := range core.Units {
		if slices.Contains(n.shape.needs(d), s) || slices.Contains(n.shape.wants(d), s) || n.inner[s][d] {
			level = max(level, n.want(d, core, path))
			if u := core.Units[d]; u.Owed && n.uncapped(d) == hold.Up { // whether a run is owed hangs on the machine
				level = hold.Up
			}
		}
	}
	// that a unit was adopted without a hold is a fact which only the takeover knows
	if u := core.Units[s]; level == hold.Down && u != nil && u.unclaimed && (!n.listed["link"] || !n.listed["mount"]) {
		level = hold.Keep
	}
	return min(level, ceiling)
}

// dropInner follows the one fact that a machine's state makes: what a service
// held from inside ends when it rests and is not wanted, or has failed or is done:
// whose call fails by that may have been the last to want it. Not while it is to be
// kept.
func (n *naive) dropInner(w *world) {
	for s, holders := range n.inner {
		for by := range holders {
			if u := w.core.Units[s]; u != nil && u.heldBy(hold.ServiceHolder(by)) != nil {
				continue
			}
			p := w.core.Units[by]
			switch {
			case p != nil && p.Machine.State != service.Rest:
				w.bad("the hold of %s on %s ended while it was %v", by, s, p.Machine.State)
			case p != nil && n.want(by, w.core, nil) == hold.Keep && p.Machine.Why != service.Failed && p.Machine.Why != service.Done:
				w.bad("the hold of %s on %s ended while it was to be kept", by, s)
			}
			delete(holders, by)
		}
	}
}

// onceOver follows the other one: a once-run that is over is a stop, or nothing.
func (n *naive) onceOver(w *world) {
	for s, kind := range n.caps {
		u := w.core.Units[s]
		switch {
		case kind != hold.CapOnce:
		case u == nil || u.Cap.Kind == "":
			n.caps[s] = ""
		case u.Cap.Kind == hold.CapStop:
			n.caps[s] = hold.CapStop
			n.behind(s, s, map[string]bool{})
			if u.Machine.State != service.Rest {
				w.bad("%s was to run once, and is stopped while %v", s, u.Machine.State)
			}
		}
	}
}

// compare holds the core's want against the naive one, after a Step.
func (n *naive) compare(w *world) {
	for _, e := range w.core.replies {
		panic("a reply was left behind: " + describeEffect(&e))
	}
	if w.shape.damped {
		return
	}
	n.dropInner(w)
	clear(n.last)
	for s, u := range w.core.Units {
		level := n.want(s, w.core, nil)
		if u.want != level {
			w.bad("want of %s is %v (cap %v, holds %+v), and naively %v (cap %v, persons %v, inner %v)", s, u.want, u.ceiling, u.Holds,
				level, n.cap(s), n.persons[s], n.inner[s])
		}
		n.last[s] = level
	}
	for k, h := range n.holds {
		if w.core.Units[k.service] == nil {
			w.bad("%s is held by %s (%v), and there is no such unit", k.service, k.rule, h.level())
		}
	}
}
