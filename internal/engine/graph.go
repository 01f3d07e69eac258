package engine

import (
	"cmp"
	"slices"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
)

// link rebuilds the edges between units, makes the instances that others need,
// and puts all in an order in which what is needed comes first.
func (c *Core) link() {
	c.relink = false
	names := c.names()
	for i := 0; i < len(names); i++ { // grows while instances are made
		u := c.Units[names[i]]
		u.needs, u.wants, u.after, u.inner = u.needs[:0], u.wants[:0], u.after[:0], u.inner[:0]
		u.neededBy, u.afterBy = u.neededBy[:0], u.afterBy[:0]
		for _, n := range slices.Concat(u.eff.NeedsOf(u.instance), u.eff.WantsOf(u.instance)) {
			if c.Units[n] == nil && c.known(n) {
				c.unit(n)
				names = append(names, n)
			}
		}
	}
	c.relink = false // unit() asked for what is being done here
	for _, n := range names {
		u := c.Units[n]
		// eff keeps the edges of a definition that is gone, for its last stop
		u.needs = c.find(u.eff.NeedsOf(u.instance), u.needs)
		u.wants = c.find(u.eff.WantsOf(u.instance), u.wants)
		u.after = c.find(u.eff.AfterOf(u.instance), u.after)
	}
	c.linkInner(names)
	c.relink = false
	c.sort(names)
	c.tellInterest()
	for _, u := range c.order {
		for _, t := range u.needs {
			t.neededBy = append(t.neededBy, u)
		}
		for _, t := range slices.Concat(u.after, u.inner) {
			t.afterBy = append(t.afterBy, u)
		}
	}
}

// tellInterest tells the sources what they need to read, where that has changed.
// Default routes change often, so only a service that is there asks for them.
func (c *Core) tellInterest() {
	routes := c.routes || slices.ContainsFunc(c.order, func(u *Unit) bool { return c.routed[u.def] })
	if c.interest != nil && c.interest.DefaultRoutes == routes {
		return
	}
	c.interest = &Interest{Attrs: c.conf.AttrNames(), DefaultRoutes: routes}
	c.emit(Effect{Kind: EffectInterest, Interest: c.interest})
}

// linkInner makes edges of the holds that services took from inside. One that
// closes a circle ends: nothing could stop any more. A new configuration may have
// closed it, or a daemon's death before the record of an end was written: the
// newer hold was taken when the older one was gone, so that is the one to keep.
func (c *Core) linkInner(names []string) {
	type edge struct {
		of, by *Unit
		hold   hold.Hold
	}
	var edges []edge
	for _, n := range names {
		u := c.Units[n]
		for _, h := range u.Holds {
			if holder, inner := h.Service(); inner && c.Units[holder] != nil { // a service may be called "boot" or "admin", too
				edges = append(edges, edge{u, c.Units[holder], h})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(b.hold.Number, a.hold.Number) })
	for _, e := range edges {
		if e.of.reaches(e.by, map[*Unit]bool{}) {
			c.drop(e.of, e.of.heldBy(e.hold.Holder), e.hold.Holder+": the hold would close a circle now")
			continue
		}
		e.by.inner = append(e.by.inner, e.of)
	}
}

// find returns the units of those names that exist.
func (c *Core) find(names []string, to []*Unit) []*Unit {
	for _, n := range names {
		if t := c.Units[n]; t != nil {
			to = append(to, t)
		}
	}
	return to
}

// known tells whether a service of that name is, or could be made from, a
// definition.
func (c *Core) known(name string) bool {
	def, instance := c.conf.Lookup(name)
	switch {
	case def == nil:
		return false
	case !service.IsTemplate(def.Name):
		return def.Name == name
	}
	return instance != "" && service.CheckName(name) == ""
}

func (c *Core) sort(names []string) {
	slices.Sort(names)
	c.order = c.order[:0]
	seen := make(map[*Unit]bool, len(names))
	var visit func(u *Unit)
	visit = func(u *Unit) {
		if seen[u] {
			return
		}
		seen[u] = true
		for _, edges := range [][]*Unit{u.needs, u.after, u.inner} {
			for _, t := range edges {
				visit(t)
			}
		}
		c.order = append(c.order, u)
	}
	for _, n := range names {
		visit(c.Units[n])
	}
}

// reaches tells whether one unit waits for another, directly or not.
func (u *Unit) reaches(to *Unit, seen map[*Unit]bool) bool {
	if u == to {
		return true
	}
	if seen[u] {
		return false
	}
	seen[u] = true
	for _, edges := range [][]*Unit{u.needs, u.after, u.inner} {
		for _, t := range edges {
			if t.reaches(to, seen) {
				return true
			}
		}
	}
	return false
}

// dependsOn tells whether a unit is, or needs, another, directly or not.
func (u *Unit) dependsOn(to *Unit) bool {
	return u == to || slices.ContainsFunc(u.needs, func(t *Unit) bool { return t.dependsOn(to) })
}

// forget drops the instances that nothing refers to: neither hold, cap,
// process, failed stop nor another service.
func (c *Core) forget() {
	waited := make(map[string]bool, len(c.Waits))
	for i := range c.Waits {
		waited[c.Waits[i].Service] = true
	}
	for again := true; again; {
		again = false
		for _, u := range c.order {
			if waited[u.Name] || !c.forgettable(u) {
				continue
			}
			delete(c.Units, u.Name)
			for i := range c.Monitors {
				delete(c.Monitors[i].Seen, u.Name)
			}
			if u.Machine.Attempt > c.Attempts {
				c.Attempts, c.global = u.Machine.Attempt, true
			}
			c.emit(Effect{Kind: EffectForget, Service: u.Name})
			c.relink, again = true, true
		}
		if again {
			c.link()
			c.replan = true // what it held is not held by it any more
		}
	}
}

func (c *Core) forgettable(u *Unit) bool {
	if u.def != nil && !u.def.OnDemand() || len(u.Holds) > 0 || u.Owed || u.Cap.Kind != "" || u.Machine.State != service.Rest {
		return false
	}
	if u.Machine.Why == service.Failed && u.Machine.Outcome == service.Refused {
		return false
	}
	if len(u.neededBy) > 0 {
		return false
	}
	for _, o := range c.order {
		if slices.Contains(o.wants, u) {
			return false
		}
	}
	return true
}

// dropInner ends the holds that a service took from inside.
func (c *Core) dropInner(u *Unit) {
	for _, t := range u.inner {
		if h := t.heldBy(hold.ServiceHolder(u.Name)); h != nil {
			c.drop(t, h, h.Holder+" has come to rest")
		}
	}
	u.inner = nil
	c.relink, c.replan = true, true
}
