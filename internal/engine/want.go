package engine

import (
	"hotsvc/internal/hold"
	"hotsvc/internal/object"
)

// want fills in what each unit may be (cap), is to be (want), and the number of
// the newest hold that reaches it. It reads facts only: holds, caps, gates and
// what is known; never a machine's state.
func (c *Core) want() {
	all := hold.Up
	if c.Suspended != "" || c.Shutdown {
		all = hold.Down
	}
	ignorant := c.ignorant()
	for _, u := range c.order { // what is needed comes first
		u.ceiling = min(all, u.gateLevel())
		if u.def == nil || u.def.Masked {
			u.ceiling = hold.Down
		}
		for _, t := range u.needs {
			u.ceiling = min(u.ceiling, t.ceiling)
		}
		u.owes = u.Owed && u.ceiling == hold.Up
		u.ceiling = min(u.ceiling, u.Cap.Level())
		u.want, u.newest = hold.Down, u.Pardon
		if u.Cap.Kind == hold.CapOnce {
			u.want = hold.Keep // whatever holds it: it is left to its end
		}
		for i := range u.Holds {
			h := &u.Holds[i]
			if _, inner := h.Service(); inner {
				continue // worth what its holder is: below
			}
			if l := h.Phase.Level(); l > u.want {
				u.want = l
			}
			if h.Phase == hold.Held {
				u.newest = max(u.newest, h.Number)
			}
		}
	}
	for again := true; again; {
		again = false
		for i := len(c.order) - 1; i >= 0; i-- { // those that need first
			u := c.order[i]
			u.want = min(u.want, u.ceiling)
			if ignorant && u.unclaimed && u.want == hold.Down && u.ceiling > hold.Down {
				u.want = hold.Keep // what was not told yet may want it
			}
			for _, t := range u.needs {
				t.wantedBy(u, u.newest)
			}
			for _, t := range u.wants { // may be a circle: repeat until nothing rises
				again = t.wantedBy(u, u.newest) || again
			}
			for _, t := range u.inner {
				t.wantedBy(u, t.heldNumber(u))
			}
		}
	}
}

// wantedBy raises what a unit is wanted to what one that holds it is, and tells
// whether that was news.
func (u *Unit) wantedBy(by *Unit, number int64) bool {
	w := min(by.pull(), u.ceiling)
	rose := w > u.want
	u.want = max(u.want, w)
	if w == hold.Up && number > u.newest {
		u.newest = number
		rose = true
	}
	return rose
}

// pull is how much a unit wants of those that it needs.
func (u *Unit) pull() hold.Level {
	if u.owes {
		return hold.Up
	}
	return u.want
}

// heldNumber is the number of the hold that another service took from inside.
func (u *Unit) heldNumber(by *Unit) int64 {
	for i := range u.Holds {
		if u.Holds[i].Holder == hold.ServiceHolder(by.Name) {
			return u.Holds[i].Number
		}
	}
	return 0
}

// ignorant tells whether some source has never told what exists. A source that
// failed or is absent has told all that it will.
func (c *Core) ignorant() bool {
	for _, name := range sourceOf { // a source without a kind of its own joins another's
		s, ok := c.Sources[name]
		if ok && !c.Listed[name] && s.State != object.Failed && s.State != object.Absent {
			return true
		}
	}
	return false
}

// sourceOf names the one source that tells of a kind.
var sourceOf = map[object.Kind]string{
	object.Device: "uevent", object.Link: "link", object.Mount: "mount", object.Clock: "clock",
}

// complete tells whether absence of an object of that kind is a fact.
func (c *Core) complete(k object.Kind) bool {
	s, ok := c.Sources[sourceOf[k]]
	return ok && s.State == object.Synced
}
