package engine

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
)

// The core is one value and one function. Step takes what happened and returns
// what is to be done; in between, data goes one way and once:
//
//	reports → objects → rules → holds ─┐                     facts.go, holds.go
//	calls ──────────────── holds, caps ┴→ want → plan         calls.go, want.go, plan.go
//	process events ───────────────────────→ machines → effects
//
// want is a function of facts alone (holds, caps, gates) and never of machine
// states, so no loop runs through it. The plan is the one place that starts and
// stops, retries after a crash included. It is level-triggered: it compares
// what is wanted with what is, as often as asked, and repeats until nothing is
// left to do, so no event is ever needed twice and none can be missed.

// Now is the time of a Step: Mono runs on through everything but a suspend and
// is comparable over daemon restarts (CLOCK_MONOTONIC); Wall is for people.
type Now struct {
	Mono time.Duration `json:"mono"`
	Wall time.Time     `json:"wall"`
}

// Options are the core's constants.
type Options struct {
	Version string
	BootID  string
	Env     []string // base of every service's environment: PATH, LANG, TZ
	OwnEnv  []string // the daemon's whole environment, for dialects that inherit it
	Sources []string // the sources that will report
	Slots   int      // how many services start at once; 0: all
}

// Core is the house's state and the one function that changes it.
type Core struct {
	State
	opt   Options
	conf  *config.Config
	index *rule.Index

	now     Now
	order   []*Unit // needs, after and inner holds before those that have them
	effects []Effect
	retired []Effect
	replies []Effect
	wake    time.Duration // the nearest deadline; 0: none

	relink       bool // units or their edges changed: rebuild order
	replan       bool // something changed that the plan reads
	gated        map[object.Kind]bool
	crossed      map[object.Kind][]int // rules that look at other objects of a kind
	ancestors    bool                  // some rule reads ATTRS{…}
	scratch      []int
	recorders    []int64                      // calls that are told the journal
	newRecorders []int64                      // that are to be told its beginning first
	interest     *Interest                    // as last told to the sources
	routes       bool                         // some rule reads default routes
	routed       map[*service.Definition]bool // definitions that do
	runs         map[runFor]*Unit             // who runs for what; nil: to be looked up
	starting     int                          // services that hold a start slot
	stalled      bool                         // the plan did not come to an end
	global       bool                         // the global record is to be saved
}

// New makes a core with its first configuration. It knows nothing of the system
// yet: every source counts as not having told.
func New(opt Options, conf *config.Config, now Now) *Core {
	c := &Core{opt: opt}
	c.State = State{
		Sources: map[string]object.SourceStatus{},
		Listed:  map[string]bool{},
		Units:   map[string]*Unit{},
		Links:   map[string]*LinkMemo{},
		Damps:   map[string]*hold.Damp{},
	}
	for _, name := range opt.Sources {
		c.Sources[name] = object.SourceStatus{Name: name, State: object.Starting}
	}
	c.now = now
	c.configure(conf)
	return c
}

// Now is the time of the last Step.
func (c *Core) Now() Now { return c.now }

// Config is the configuration in force.
func (c *Core) Config() *config.Config { return c.conf }

// Step is the whole house. It returns what is to be done, saves before spawns
// and replies last, and when to be called again at the latest (0: never).
func (c *Core) Step(now Now, in []Input) (effects []Effect, wake time.Duration) {
	c.now = now
	for i := range in {
		c.take(&in[i])
	}
	c.deadlines()
	for again := true; again; again = (c.replan || c.relink) && !c.stalled {
		if c.replan || c.relink {
			c.replan = false
			if c.relink {
				c.link()
			}
			c.covers()
			c.gates()
			c.plan()
			c.shown()
			c.monitors()
			c.forget()
		}
		c.waits()
	}
	effects, wake = c.finish()
	c.record(in, effects)
	effects, c.replies = append(effects, c.replies...), nil
	return effects, wake
}

func (c *Core) take(in *Input) {
	switch {
	case in.Report != nil:
		c.report(in.Report)
	case in.Process != nil:
		c.process(in.Process)
	case in.Call != nil:
		c.call(in.Call)
	case in.Hangup != 0:
		c.hangup(in.Hangup)
	case in.Gone != nil:
		c.clientGone(*in.Gone)
	case in.Config != nil:
		c.configure(in.Config)
	}
}

// process steps a machine, unless the news is of another attempt.
func (c *Core) process(e *ProcessEvent) {
	u := c.Units[e.Service]
	if u == nil || e.Attempt != u.Machine.Attempt || e.Kind == service.Start || e.Kind == service.Stop || e.Kind == service.Timer {
		return
	}
	if !service.Possible(u.Machine.State, e.Kind) {
		c.log("%s: attempt %d: %v came while %v: ignored", u.Name, e.Attempt, e.Kind, u.Machine.State)
		return
	}
	c.fire(u, e.Event)
}

// deadlines fires what is due and remembers the nearest that is not.
func (c *Core) deadlines() {
	for _, u := range c.order {
		if d := u.Machine.Deadline; d > 0 && d <= c.now.Mono {
			c.fire(u, service.Event{Kind: service.Timer, Attempt: u.Machine.Attempt})
		}
		c.holdDeadlines(u)
		for i := range u.Gates {
			if g := &u.Gates[i]; g.Known && g.LeftAt > 0 && g.LeftAt+u.def.Policy.Gates[i].Linger <= c.now.Mono {
				c.replan = true
			}
		}
		if u.Machine.State == service.Rest && u.Machine.Why == service.Backoff && u.Machine.NotBefore <= c.now.Mono {
			c.replan = true
		}
	}
}

// until notes a deadline that wants a Step.
func (c *Core) until(d time.Duration) {
	if d > 0 && (c.wake == 0 || d < c.wake) {
		c.wake = d
	}
}

// finish collects the effects of a Step: records first, then what was ordered,
// then what is over by now in what is written, of which nobody needs a note any
// more, then the answers, which must not overtake what they confirm.
func (c *Core) finish() ([]Effect, time.Duration) {
	c.wake = 0
	var out []Effect
	for _, u := range c.order {
		if u.dirty {
			u.dirty = false
			out = append(out, Effect{Kind: EffectSave, Service: u.Name, Record: u.record()})
		}
		c.until(u.Machine.Deadline)
		for i := range u.Holds {
			c.until(u.Holds[i].Deadline)
		}
		for i := range u.Gates {
			if g := &u.Gates[i]; g.Known && g.LeftAt > 0 {
				c.until(g.LeftAt + u.def.Policy.Gates[i].Linger)
			}
		}
		if m := &u.Machine; m.State == service.Rest && m.Why == service.Backoff && u.want == hold.Up && m.NotBefore > c.now.Mono {
			c.until(m.NotBefore)
		}
	}
	if c.stalled { // the others are not to suffer from a mistake in the plan
		c.stalled = false
		c.until(c.now.Mono + time.Second)
	}
	if c.global {
		c.global = false
		out = append(out, Effect{Kind: EffectGlobal, Record: c.globalRecord(), Text: c.Suspended})
	}
	for i := range c.Waits {
		c.until(c.Waits[i].Deadline)
	}
	out = slices.Concat(out, c.effects, c.retired, c.replies)
	c.effects, c.retired, c.replies = nil, nil, nil
	return out, c.wake
}

func (c *Core) emit(e Effect) { c.effects = append(c.effects, e) }

// retire lets the note of an attempt go, of which nothing is left.
func (c *Core) retire(u *Unit, attempt int64, what service.Command) {
	c.retired = append(c.retired, Effect{Kind: EffectRetire, Service: u.Name, Attempt: attempt, Command: what})
}

// next is the number of a new hold, or of a pardon.
func (c *Core) next() int64 {
	c.Number++
	return c.Number
}

// configure puts a configuration in force. What did not change is not touched.
func (c *Core) configure(conf *config.Config) {
	c.use(conf)
	c.Generation++
	c.Loaded = c.now.Wall
	for _, name := range slices.Sorted(maps.Keys(conf.Services)) {
		if !conf.Services[name].OnDemand() {
			c.unit(name)
		}
	}
	for _, name := range c.names() {
		c.define(c.Units[name])
	}
	c.relink, c.replan = true, true
	for _, o := range c.Objects.All("") {
		c.evaluate(o.Life.Key)
	}
	c.dropUnruled()
}

// use derives from a configuration what the core looks things up in.
func (c *Core) use(conf *config.Config) {
	c.conf = conf
	c.index = rule.NewIndex(conf.Rules)
	c.crossed, c.gated = map[object.Kind][]int{}, map[object.Kind]bool{}
	for i := range conf.Rules {
		r := &conf.Rules[i]
		for _, o := range slices.Concat(r.While, r.Unless) {
			if !slices.Contains(c.crossed[o.Object], i) {
				c.crossed[o.Object] = append(c.crossed[o.Object], i)
			}
		}
	}
	for _, def := range conf.Services {
		for i := range def.Policy.Gates {
			c.gated[def.Policy.Gates[i].Object] = true
		}
	}
	c.ancestors = false
	for i := range conf.Rules {
		c.ancestors = c.ancestors || slices.ContainsFunc(conf.Rules[i].Words(), func(w string) bool { return strings.HasPrefix(w, "ATTRS{") })
	}
	c.interest = nil
	c.routes, c.routed = conf.Reads("default4", "default6")
}

// unit returns the unit of that name, made if there was none.
func (c *Core) unit(name string) *Unit {
	if u := c.Units[name]; u != nil {
		return u
	}
	u := &Unit{Name: name, eff: &service.Definition{}, Since: c.now.Wall, Shown: stateDown}
	u.Machine.Attempt = c.Attempts // if it was there before, processes of its attempts may still be
	c.Units[name] = u
	c.order = append(c.order, u) // in its place when the edges are made again
	c.define(u)
	c.relink, c.replan = true, true
	return u
}

// define gives a unit its present definition.
func (c *Core) define(u *Unit) {
	u.def, u.instance = c.conf.Lookup(u.Name)
	if u.def == nil {
		u.Gates = nil
		u.Holds = slices.DeleteFunc(u.Holds, func(h hold.Hold) bool { return h.Holder == hold.Boot })
		return
	}
	gates := make([]gateState, len(u.def.Policy.Gates))
	for i := range gates {
		gates[i].Text = u.def.Policy.Gates[i].Text
		if i < len(u.Gates) && u.Gates[i].Text == gates[i].Text {
			gates[i] = u.Gates[i] // the same gate as before
		}
	}
	u.Gates = gates
	hash := u.def.ExecHash()
	if u.Hash != hash && u.Hash != 0 {
		u.Pardon = c.next()
		u.Because = "its definition changed"
		u.dirty = true
	}
	u.Hash = hash
	u.eff.Name = u.Name
	u.eff.Policy = u.def.Policy
	if u.Machine.State == service.Rest {
		u.eff.Exec = u.def.Exec
	} else {
		u.eff.Exec = u.Run.Exec
	}
	boot := slices.IndexFunc(u.Holds, func(h hold.Hold) bool { return h.Holder == hold.Boot })
	wanted := u.def.Policy.StartAtBoot && !u.def.OnDemand()
	switch {
	case wanted && boot < 0:
		u.Holds = append(u.Holds, hold.Hold{Holder: hold.Boot, Number: c.next(), Count: 1, Phase: hold.Held, Since: c.now.Wall})
		u.dirty = true
	case !wanted && boot >= 0:
		u.Holds = slices.Delete(u.Holds, boot, boot+1)
		u.dirty = true
	}
}

// names lists the units in name order.
func (c *Core) names() []string { return slices.Sorted(maps.Keys(c.Units)) }

func byName(a, b *Unit) int { return cmp.Compare(a.Name, b.Name) }
