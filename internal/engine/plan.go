package engine

import (
	"fmt"
	"slices"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
)

// The plan, semantics.md in short:
//
//	stale     active, and started with another Exec or before the last restart
//	must      want=down, or want=up and stale, or a need that is not up or must
//	pending   want=up, not up, not stuck, not latched, each need up or pending
//	stop      active and must; those that need it rest or are stuck; those that
//	          are after it, or hold it from inside, rest unless they stay
//	start     nothing in obstacle()
//
// It repeats until nothing happens. The order is topological, then by name.

// plan compares want with the machines and fires what is to be done.
func (c *Core) plan() {
	defer func() { c.runs = nil }()
	c.want()
	for round := 0; ; round++ {
		if round > 4*len(c.order)+8 {
			c.log("the plan does not come to an end after %d rounds: left for a second; please report this", round)
			c.stalled = true
			return
		}
		c.judge()
		if !c.act() {
			return
		}
		if c.relink {
			c.link()
		}
		c.want()
	}
}

// judge says of each unit whether it has to rest and whether it may yet come up.
func (c *Core) judge() {
	c.runs, c.starting = nil, c.slotsTaken()
	for _, u := range c.order {
		m := &u.Machine
		u.must = u.want == hold.Down || u.want == hold.Up && u.stale()
		u.pending = u.pull() == hold.Up && m.State != service.Up && m.State != service.Stuck && !(m.State == service.Rest && u.latched())
		for _, t := range u.needs {
			u.must = u.must || t.must || t.Machine.State != service.Up
			u.pending = u.pending && (t.Machine.State == service.Up || t.pending)
		}
	}
}

// act does one round of stops and starts, and tells whether there was any.
func (c *Core) act() (acted bool) {
	for _, u := range c.order {
		m := &u.Machine
		switch {
		case m.Active():
			if u.must && u.mayStop() {
				c.fire(u, service.Event{Kind: service.Stop, Attempt: m.Attempt})
				acted = true
			}
		case m.State != service.Rest:
			// on its way down
		case u.pull() == hold.Up:
			if u.latched() && m.Why != service.Backoff {
				acted = c.released(u) || acted
				continue
			}
			if m.Why != service.Fresh && !u.latched() {
				m.Forgive() // a newer hold: a clean slate
				u.dirty = true
			}
			if c.obstacle(u).kind == "" {
				c.start(u)
				acted = true
			}
		case u.want == hold.Down:
			acted = c.released(u) || acted
		}
	}
	return acted
}

// released drops what a service at rest held from inside.
func (c *Core) released(u *Unit) bool {
	if len(u.inner) == 0 {
		return false
	}
	c.dropInner(u)
	return true
}

func (u *Unit) stale() bool {
	return u.Machine.Active() && (u.Machine.Exec != u.Hash || u.Ran != u.Gen)
}

// latched tells whether how the last run ended still counts: it does while no
// newer hold exists than then.
func (u *Unit) latched() bool {
	return u.Machine.Why != service.Fresh && u.newest <= u.Latch
}

func (u *Unit) mayStop() bool {
	for _, d := range u.neededBy {
		if !d.Machine.AtRest() {
			return false
		}
	}
	for _, d := range u.afterBy {
		if !d.Machine.AtRest() && d.must {
			return false
		}
	}
	return true
}

// obstacle is the first thing that keeps a service at rest from starting.
type obstacle struct {
	kind string // one of status.Waiting's kinds, or "" for none
	what string
	at   *Unit // whose it is, when not the asked one's
}

// String is what keeps a service from starting, for people.
func (o obstacle) String() string {
	switch o.kind {
	case "needs":
		return "waits for " + o.what + ", which it needs"
	case "after":
		return "starts after " + o.what
	case "gate":
		return "its gate is closed: " + o.what
	}
	return o.what
}

// obstacle finds what is in the way of a start, in the order in which people
// would ask. The plan starts what has none, so `why` cannot disagree with it.
func (c *Core) obstacle(u *Unit) obstacle {
	m := &u.Machine
	if o := c.unwanted(u); o.kind != "" {
		return o
	}
	switch m.State {
	case service.Rest:
	case service.Up:
		return obstacle{}
	case service.Pre, service.Starting:
		return obstacle{kind: "starting", what: fmt.Sprintf("not ready yet; it is given %v more", brief(m.Deadline-c.now.Mono))}
	default:
		return obstacle{kind: "after", what: fmt.Sprintf("its last run: it is %v", m.State)}
	}
	if u.latched() {
		switch {
		case m.Why != service.Backoff:
			return obstacle{kind: "backoff", what: fmt.Sprintf("%v: %s", m.Why, u.failure())}
		case c.now.Mono < m.NotBefore:
			return obstacle{kind: "backoff", what: fmt.Sprintf("%s; failure %d, next start in %v", u.lastExit(), m.Fails, brief(m.NotBefore-c.now.Mono))}
		}
	}
	for _, t := range u.needs {
		if t.Machine.State != service.Up || t.must {
			return obstacle{kind: "needs", what: t.Name}
		}
	}
	for _, t := range u.after {
		if t.pending {
			return obstacle{kind: "after", what: t.Name}
		}
	}
	if o := c.twin(u); o != nil {
		return obstacle{kind: "after", what: o.Name + ", which still runs for the same object"}
	}
	if c.opt.Slots > 0 && c.starting >= c.opt.Slots {
		return obstacle{kind: "after", what: fmt.Sprintf("%d others, which are starting now", c.starting)}
	}
	return obstacle{}
}

// unwanted says why want is not up, if it is not.
func (c *Core) unwanted(u *Unit) obstacle {
	switch {
	case u.pull() == hold.Up:
		return obstacle{}
	case u.def == nil && u.Cap.Kind != "":
		return obstacle{kind: "blocked", what: "it is not defined any more, and kept: " + capText(&u.Cap)}
	case u.def == nil:
		return obstacle{kind: "blocked", what: "it is not defined any more"}
	case u.def.Broken != "":
		return obstacle{kind: "blocked", what: u.def.Broken}
	case u.def.Masked:
		return obstacle{kind: "blocked", what: "it is masked by " + u.def.Pos.File}
	case c.Shutdown:
		return obstacle{kind: "blocked", what: "hotsvc is shutting down"}
	case c.Suspended != "":
		return obstacle{kind: "blocked", what: "all services are suspended by " + c.Suspended}
	case u.Cap.Kind != "":
		return obstacle{kind: "blocked", what: capText(&u.Cap)}
	}
	for i := range u.Gates {
		if u.gate(i) != hold.Up {
			return obstacle{kind: "gate", what: u.def.Policy.Gates[i].Text}
		}
	}
	for _, t := range u.needs {
		if t.ceiling < hold.Up {
			o := c.unwanted(t)
			at := t
			if o.at != nil {
				at = o.at
			}
			return obstacle{o.kind, t.Name + ", which it needs: " + o.what, at}
		}
	}
	for i := range u.Holds {
		switch h := &u.Holds[i]; h.Phase {
		case hold.Suppressed:
			return obstacle{kind: "damping", what: fmt.Sprintf("%s flapped; suppressed for %v", h.Holder, brief(h.Deadline-c.now.Mono))}
		case hold.Settling:
			return obstacle{kind: "settle", what: fmt.Sprintf("%s settles for %v", h.Holder, brief(h.Deadline-c.now.Mono))}
		}
	}
	for i := range u.Holds {
		switch h := &u.Holds[i]; h.Phase {
		case hold.Lingering:
			return obstacle{kind: "unwanted", what: fmt.Sprintf("%s lingers for %v", h.Holder, brief(h.Deadline-c.now.Mono))}
		case hold.Provisional:
			return obstacle{kind: "unwanted", what: h.Holder + " held it before, and its source has not told yet"}
		}
	}
	return obstacle{kind: "unwanted", what: "nothing holds it"}
}

// start begins a run: its Exec and its words are frozen now.
func (c *Core) start(u *Unit) {
	if u.Machine.Why == service.Backoff {
		u.Restarts++
	}
	u.Ran = u.Gen
	u.Owed, u.Paused, u.Termed = false, false, false
	u.Cover = hold.Covers(u.Holds)
	c.freeze(u)
	c.starting++
	if c.runs != nil && u.instance != "" && u.Run.Key.ID != "" {
		c.runs[runFor{u.def, u.Run.Key}] = u
	}
	c.fire(u, service.Event{Kind: service.Start})
}

// fire steps a machine and turns what it wants into effects.
func (c *Core) fire(u *Unit, e service.Event) {
	m := &u.Machine
	c.note(u, &e)
	if e.Kind == service.Exited && e.Left == 0 {
		c.retire(u, e.Attempt, m.Command)
	}
	if u.def == nil && m.State == service.Rest {
		return
	}
	active, up := m.Active(), m.State == service.Up
	acts := m.Step(c.now.Mono, u.eff, e)
	if m.State == service.Up && !up {
		c.cameUp(u)
	}
	if active && !m.Active() {
		u.Latch = u.newest // how it ends counts against the holds that it had, and no newer one
	}
	for _, a := range acts {
		c.carryOut(u, a)
	}
	if m.State == service.Rest && u.def != nil {
		u.eff.Exec = u.def.Exec
	}
	c.onceOver(u)
	u.dirty, c.replan = true, true
}

// carryOut makes an effect of what a machine wants.
func (c *Core) carryOut(u *Unit, a service.Effect) {
	e := Effect{Service: u.Name, Attempt: a.Attempt, Command: a.Command}
	switch a.Act {
	case service.ActSpawn:
		spawn, err := u.spawn(a.Command, &c.opt)
		if err != nil {
			c.fire(u, service.Event{Kind: service.SpawnError, Attempt: a.Attempt, NoExec: true, Error: err.Error()})
			return
		}
		e.Kind, e.Spawn = EffectSpawn, spawn
	case service.ActTerm:
		e.Kind, e.Signal = EffectTerm, u.eff.Policy.StopSignal
		u.Termed = true
		c.controlled(u, &e, "t")
		e.After = c.control(u, "d")
		if a.Command == service.CommandMain && len(u.eff.Exec.Stop) > 0 && u.eff.Exec.Type == service.Daemon {
			spawn, err := u.spawn(service.CommandUndo, &c.opt)
			if err != nil {
				c.log("%s: exec_stop: %v", u.Name, err)
			}
			e.Spawn = spawn
		}
	case service.ActKill:
		e.Kind, e.KillAll = EffectKill, u.eff.Policy.KillMode != service.KillMain
	case service.ActSweep:
		e.Kind, e.Signal, e.KillAll = EffectSweep, u.eff.Policy.StopSignal, u.eff.Policy.KillMode != service.KillMain
		if u.Machine.Outcome == service.Refused {
			e.KillAll = false // what could not be undone, a busy mount, still serves its users
		}
	}
	c.emit(e)
}

// covers looks, for each unit whose holds changed, whether what holds it now
// shares anything with what held it when it started.
func (c *Core) covers() {
	for _, u := range c.order {
		if !u.faded {
			continue
		}
		u.faded = false
		if !u.Machine.Active() {
			continue
		}
		now := hold.Covers(u.Holds)
		for _, cover := range now {
			at := slices.IndexFunc(u.Cover, func(b hold.Cover) bool { return b.Holder == cover.Holder })
			if at < 0 {
				u.Cover = append(u.Cover, cover)
				continue
			}
			c.bounce(u, cover.Holder, u.Cover[at].Compare(cover))
			u.Cover[at] = cover
		}
		u.dirty = true
	}
}

// bounce does what the rule says of objects that left and came back. A rule
// with a linger asks that its service outlives them; one without does not, so
// there a bounce that nobody saw is made good by a restart.
func (c *Core) bounce(u *Unit, holder string, b hold.Bounced) {
	r := c.rule(holder)
	if r == nil || b == hold.Same {
		return
	}
	switch {
	case b == hold.Replaced, r.OnBounce.Restart, r.OnBounce.Signal == "" && r.Linger == 0:
		u.Gen++
		u.Because = fmt.Sprintf("%s: what held it left and came back", holder)
		c.replan = true
	case r.OnBounce.Signal != "" && u.Machine.Process == service.Known:
		c.emit(Effect{Kind: EffectSignal, Service: u.Name, Attempt: u.Machine.Attempt, Signal: r.OnBounce.Signal})
	}
}
