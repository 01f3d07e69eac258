package engine

import (
	"slices"
	"strings"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

// Report is what `status` answers, for the services whose name matches one of
// the patterns; for all where there is none.
func (c *Core) Report(patterns []string) status.Report {
	r := status.Report{
		Schema: status.Schema, Version: c.opt.Version, BootID: c.opt.BootID, Degraded: []string{},
		Services: []status.Service{}, Sources: []object.SourceStatus{},
		Config: status.Config{Generation: c.Generation, Loaded: c.Loaded, Problems: slices.Concat([]toml.Problem{}, c.conf.Problems)},
	}
	if d := c.conf.Degraded(); d != "" {
		r.Degraded = append(r.Degraded, d)
	}
	if c.Suspended != "" {
		r.Suspended = &c.Suspended
	}
	for _, name := range patterns[:min(len(patterns), maxNames)] { // an instance of a known template is never unknown
		if c.known(name) && !strings.ContainsAny(name, `*?[\`) {
			c.unit(name)
		}
	}
	c.look()
	for _, name := range c.names() {
		if matchesAny(patterns, name) {
			r.Services = append(r.Services, c.serviceReport(c.Units[name]))
		}
	}
	for _, name := range c.opt.Sources {
		r.Sources = append(r.Sources, c.Sources[name])
	}
	return r
}

func (c *Core) serviceReport(u *Unit) status.Service {
	m := &u.Machine
	s := status.Service{
		Name: u.Name, State: c.public(u), Want: u.want.String(), Since: u.Since, Reason: u.Because,
		Restarts: u.Restarts, Failures: m.Fails, Type: string(u.eff.Exec.Type), LogTo: u.eff.Exec.Log,
		Paused: u.Paused && m.Process == service.Known, Terminated: u.Termed && m.Process == service.Known,
		Holds: []status.Hold{}, Gates: []status.Gate{}, WaitingFor: []status.Waiting{}, Needs: []string{}, NeededBy: []string{},
		History: []status.Change{}, LogTail: []string{},
	}
	if u.instance != "" {
		template := strings.TrimSuffix(u.Name, u.instance)
		s.Template, s.Instance = &template, &u.instance
	}
	if m.State != service.Rest && m.State != service.Up {
		sub := m.State.String()
		if m.Command == service.CommandUndo {
			sub = "undo"
		}
		s.Substate = &sub
	} else if m.State == service.Rest && m.Why == service.Done {
		sub := "done"
		s.Substate = &sub
	}
	if m.Process == service.Known {
		pid := m.Pid
		s.Pid = &pid
		if m.Command == service.CommandMain {
			s.Main = &status.Process{Pid: pid, Started: c.wall(m.Since)}
		}
	}
	if m.State == service.Rest && m.Why == service.Backoff && u.latched() && u.want == hold.Up {
		at := c.wall(m.NotBefore)
		s.NextStart = &at
	}
	if m.State == service.Rest && (u.def == nil || u.def.Masked) {
		s.Reason = c.unwanted(u).what // how it came to rest matters no more
	} else if s.State == stateUp {
		s.Reason = c.heldFor(u) // what held it when it started may have gone
	} else if n := len(u.History); n > 0 && u.History[n-1].To == s.State {
		s.Reason = u.History[n-1].Reason
	}
	if s.Reason == "" {
		s.Reason = c.unwanted(u).what
	}
	if x := u.Exit; x != nil {
		s.Exit = &status.Exit{At: x.At, What: x.What, Text: x.Text}
		if x.Signal != "" {
			s.Exit.Signal = &x.Signal
		} else if !x.Unknown && x.What != "spawn" {
			s.Exit.Code = &x.Code
		}
	}
	for i := range u.Holds {
		s.Holds = append(s.Holds, c.holdReport(&u.Holds[i]))
	}
	s.Blocked = c.blocked(u)
	if u.def != nil {
		s.Description, s.Type = strings.ReplaceAll(u.def.Description, "{instance}", u.instance), string(u.def.Exec.Type)
		s.Definition = &status.Definition{File: u.def.Pos.File, Line: u.def.Pos.Line, Masked: u.def.Masked,
			Dialect: string(u.def.Dialect), AtBoot: u.def.Policy.StartAtBoot}
		if u.def.Dir != "" {
			s.Definition.Dir = &u.def.Dir
		}
		for i := range u.def.Policy.Gates {
			g := status.Gate{Text: u.def.Policy.Gates[i].Text}
			if u.Gates[i].Known {
				g.Open = &u.Gates[i].Open
			}
			s.Gates = append(s.Gates, g)
		}
	}
	if m.State == service.Rest && (u.want == hold.Up || c.heldBack(u) || c.heldUp(u)) {
		if o := c.obstacle(u); o.kind != "" && o.kind != "unwanted" {
			s.WaitingFor = append(s.WaitingFor, status.Waiting{Kind: o.kind, What: o.what})
		}
	}
	for _, t := range u.needs {
		s.Needs = append(s.Needs, t.Name)
	}
	for _, t := range u.neededBy {
		s.NeededBy = append(s.NeededBy, t.Name)
	}
	primary := u.Run.Primary
	if m.State == service.Rest {
		primary = ""
		if o := c.Objects.Get(u.primary().Life.Key); o != nil {
			primary = o.Label()
		}
	}
	if primary != "" {
		s.Primary = &primary
	}
	for _, h := range u.History {
		s.History = append(s.History, status.Change{Service: u.Name, At: h.At, From: h.From, To: h.To, Reason: h.Reason, Count: u.Changes})
	}
	for i := range s.History { // the last has the count of all
		s.History[i].Count = u.Changes - int64(len(s.History)-1-i)
	}
	return s
}

// wall turns a moment of the monotonic clock into one for people.
func (c *Core) wall(mono time.Duration) time.Time { return c.now.Wall.Add(mono - c.now.Mono) }

func (c *Core) holdReport(h *hold.Hold) status.Hold {
	s := status.Hold{Holder: h.Holder, Count: h.Count, Since: h.Since, Provisional: h.Phase == hold.Provisional}
	if h.Life.Key.ID != "" {
		label := h.Life.Key.String()
		if o := c.Objects.Get(h.Life.Key); o != nil {
			label = o.Label()
		}
		s.Object = &label
	}
	if h.Cause != "" {
		s.Cause = &h.Cause
	}
	if r := c.rule(h.Holder); r != nil {
		where := place(r.Pos)
		s.Where = &where
		if others := append(slices.Clone(r.While), r.Unless...); len(others) > 0 {
			with := string(others[0].Object) + " " + others[0].Match.String()
			s.With = &with
		}
	}
	at := c.wall(h.Deadline)
	switch h.Phase {
	case hold.Lingering:
		s.LingerUntil = &at
	case hold.Suppressed:
		s.Suppressed = &at
	case hold.Settling:
		s.Settling = &at
	}
	return s
}

func (c *Core) blocked(u *Unit) *status.Blocked {
	switch {
	case u.Cap.Kind != "":
		b := &status.Blocked{By: u.Cap.By, Kind: u.Cap.Kind, Since: u.Cap.Since, UntilGone: []string{}}
		for _, l := range u.Cap.Gone {
			b.UntilGone = append(b.UntilGone, l.Key.String())
		}
		return b
	case c.Suspended != "":
		return &status.Blocked{By: c.Suspended, Kind: "suspend", UntilGone: []string{}}
	case u.def != nil && u.def.Masked:
		return &status.Blocked{By: u.def.Pos.File, Kind: "masked", UntilGone: []string{}}
	}
	return nil
}

// answerObjects lists what exists, with the services that each object holds.
func (c *Core) answerObjects(call *Call) {
	kind := object.Kind(call.Kind)
	if call.Kind != "" && !slices.Contains(object.Kinds, kind) {
		c.refuse(call.ID, CodeUsage, "no kind of object "+call.Kind+": device, link, mount or clock")
		return
	}
	var cond match.Cond
	if call.Match != "" {
		var err error
		if call.Kind == "" {
			cond, err = match.Parse(call.Match)
		} else {
			cond, err = rule.ParseCondition(kind, call.Match)
		}
		if err != nil {
			c.refuse(call.ID, CodeUsage, "match: "+err.Error())
			return
		}
	}
	out := []status.Object{}
	for _, o := range c.Objects.All(kind) {
		if cond.Eval(reader{&c.Objects, o}, nil) != match.Yes {
			continue
		}
		s := status.Object{Key: o.Life.Key.String(), Name: o.Name(), Incarnation: o.Life.Incarnation, Words: o.Words, Cause: o.Cause, Since: o.Since, Holds: []string{}}
		for _, name := range c.names() {
			if slices.ContainsFunc(c.Units[name].Holds, func(h hold.Hold) bool { return h.Life.Key == o.Life.Key && !h.Phase.Withheld() }) {
				s.Holds = append(s.Holds, name)
			}
		}
		out = append(out, s)
	}
	c.answer(call.ID, out)
}

// rulesReport lists the rules with the objects that each matches or still holds
// services through, and says where that holds nothing, or not for long, and why.
func (c *Core) rulesReport() []status.Rule {
	out := []status.Rule{}
	for i := range c.conf.Rules {
		r := &c.conf.Rules[i]
		s := status.Rule{Name: r.Name, Where: place(r.Pos), Object: string(r.Object), Require: slices.Concat([]string{}, r.Require),
			Match: r.Match.String(), Matches: []status.Match{}}
		for _, o := range c.Objects.All(r.Object) {
			matches := r.Match.Eval(reader{&c.Objects, o}, nil) == match.Yes
			holders := c.holders(r.Name, o.Life.Key)
			if !matches && len(holders) == 0 {
				continue
			}
			m := c.matchReport(r, o.Label(), o.Life.Key, holders)
			if matches && len(holders) < len(r.Require) {
				addProblem(&m, c.holdsNothing(r, o))
			}
			s.Matches = append(s.Matches, m)
		}
		for _, key := range c.heldThroughGone(r) {
			s.Matches = append(s.Matches, c.matchReport(r, key.String(), key, c.holders(r.Name, key)))
		}
		out = append(out, s)
	}
	return out
}

// matchReport says what a rule holds through an object, and which of it is
// withheld or will not last.
func (c *Core) matchReport(r *rule.Rule, label string, key object.Key, holders []*Unit) status.Match {
	m := status.Match{Object: label, Holds: []string{}}
	for _, u := range holders {
		h := u.held(r.Name, key)
		switch phase := c.phase(h); {
		case h.Phase.Withheld():
			addProblem(&m, u.Name+phase)
			continue
		case phase != "" && m.Problem == nil: // the same for all
			addProblem(&m, strings.Trim(phase, " ()"))
		}
		m.Holds = append(m.Holds, u.Name)
	}
	return m
}

func addProblem(m *status.Match, text string) {
	if m.Problem != nil {
		text = *m.Problem + "; " + text
	}
	m.Problem = &text
}

// heldThroughGone lists the objects that are gone, or not told of yet, through
// which a rule still holds something.
func (c *Core) heldThroughGone(r *rule.Rule) []object.Key {
	var keys []object.Key
	for _, name := range c.names() {
		for _, h := range c.Units[name].Holds {
			if h.Holder == hold.RuleHolder(r.Name) && c.Objects.Get(h.Life.Key) == nil && !slices.Contains(keys, h.Life.Key) {
				keys = append(keys, h.Life.Key)
			}
		}
	}
	return keys
}

// holdsNothing says why a rule that matches an object does not hold every
// service that it requires.
func (c *Core) holdsNothing(r *rule.Rule, o *object.Object) string {
	var problems []string
	for _, template := range r.Require {
		name, err := rule.Expand(template, reader{&c.Objects, o})
		switch {
		case err != nil:
			problems = append(problems, err.Error())
		case !c.known(name):
			problems = append(problems, "no service "+name)
		}
	}
	if other := c.missesOthers(r, o); other != "" {
		problems = append(problems, other)
	} else if problems == nil {
		problems = []string{"an earlier rule claims it"}
	}
	return strings.Join(problems, "; ")
}
