package engine

import (
	"fmt"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
)

// answerWhy tells the chain from the kernel's event to the last transition, or
// the first fact that is missing.
func (c *Core) answerWhy(call *Call) {
	if len(call.Services) != 1 {
		c.refuse(call.ID, CodeUsage, "why: name one service")
		return
	}
	name := call.Services[0]
	if why := c.nameProblem(name); why != "" {
		c.refuse(call.ID, CodeUnknown, why)
		return
	}
	u := c.peek(name)
	w := status.Why{Service: name, State: c.public(u), Running: u.Machine.State == service.Up, Chain: []status.Step{}, Dependents: []string{}}
	if w.Running && !call.Not {
		c.chain(u, &w, map[*Unit]bool{})
		if n := len(u.History); n > 0 {
			h := u.History[n-1]
			w.Chain = append(w.Chain, status.Step{What: "transition", Text: fmt.Sprintf("%s → %s at %s: %s", h.From, h.To, h.At.Format("15:04:05.000"), h.Reason)})
		}
		c.answer(call.ID, w)
		return
	}
	o := c.obstacle(u)
	unmet, remedy := c.unmet(u, o)
	if w.Unmet = &unmet; remedy != "" {
		w.Remedy = &remedy
	}
	if len(u.Holds) > 0 {
		c.chain(u, &w, map[*Unit]bool{})
	}
	for _, d := range c.order {
		for _, t := range d.needs {
			if t == u && c.heldUp(d) && d.Machine.State != service.Up {
				w.Dependents = append(w.Dependents, d.Name)
			}
		}
	}
	c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: call.ID, Code: CodeNo, Value: w}})
}

// peek returns a unit to look at. An instance that nothing refers to is made as
// it would be, and forgotten at the end of the Step.
func (c *Core) peek(name string) *Unit {
	u := c.unit(name)
	c.look()
	return u
}

// look brings what is derived up to date, so that a question in the middle of a
// Step is answered by what was said before it.
func (c *Core) look() {
	if c.relink {
		c.link()
		c.replan = true
	}
	if c.replan {
		c.gates()
		c.want()
		c.judge()
	}
}

// chain adds, for each hold of a service, what made it: event, object, rule, hold.
func (c *Core) chain(u *Unit, w *status.Why, seen map[*Unit]bool) {
	if seen[u] {
		return
	}
	seen[u] = true
	add := func(what, format string, args ...any) {
		w.Chain = append(w.Chain, status.Step{What: what, Text: fmt.Sprintf(format, args...)})
	}
	for i := range u.Holds {
		h := &u.Holds[i]
		if r := c.rule(h.Holder); r != nil {
			add("event", "%s at %s", said(h.Cause), h.Since.Format("15:04:05.000"))
			label := h.Life.Key.String() + " (gone)"
			if o := c.Objects.Get(h.Life.Key); o != nil {
				label = describe(o)
			}
			add("object", "%s", label)
			add("rule", "%s (%s): match %s", r.Name, place(r.Pos), r.Match.String())
		}
		add("hold", "%s holds %s%s", h.Holder, u.Name, c.phase(h))
	}
	for _, d := range u.neededBy {
		if d.want == hold.Up {
			add("need", "%s needs %s", d.Name, u.Name)
			c.chain(d, w, seen)
		}
	}
}

// describe is an object with the words that most rules read.
func describe(o *object.Object) string {
	var b strings.Builder
	b.WriteString(o.Label())
	for _, word := range []string{"type", "kind", "up", "carrier", "running", "operstate", "SUBSYSTEM", "DEVTYPE", "DRIVER", "fstype", "synchronized"} {
		if v := o.Words.Get(word); v != "" {
			fmt.Fprintf(&b, " %s=%s", word, v)
		}
	}
	return b.String()
}

func (c *Core) phase(h *hold.Hold) string {
	switch h.Phase {
	case hold.Lingering:
		return fmt.Sprintf(" (its condition ended; lingers for %v)", brief(h.Deadline-c.now.Mono))
	case hold.Settling:
		return fmt.Sprintf(" (settles for %v)", brief(h.Deadline-c.now.Mono))
	case hold.Suppressed:
		return fmt.Sprintf(" (suppressed for %v: it flapped)", brief(h.Deadline-c.now.Mono))
	case hold.Provisional:
		return " (from before; not confirmed yet)"
	}
	return ""
}

// couldHold calls fn for each rule that could hold a service, with the name by
// which the rule requires it.
func (c *Core) couldHold(name string, fn func(r *rule.Rule, required string)) {
	template, instance := service.Split(name)
	for i := range c.conf.Rules {
		r := &c.conf.Rules[i]
		for _, required := range r.Require {
			if t, _ := service.Split(required); t == template && (instance != "" || required == name) {
				fn(r, required)
			}
		}
	}
}

// untold names a source that has not listed yet what could hold the service.
func (c *Core) untold(name string) (source string) {
	c.couldHold(name, func(r *rule.Rule, _ string) {
		if s := sourceOf[r.Object]; !c.Listed[s] {
			source = s
		}
	})
	return source
}

// rulesFor says of each rule that could hold a service why it does not; link is
// one that such a rule had set up once and that is down again.
func (c *Core) rulesFor(name string) (out []string, link *object.Object) {
	c.couldHold(name, func(r *rule.Rule, required string) {
		text, nearest := c.misses(r, required, name)
		out = append(out, fmt.Sprintf("rule %s (%s) would, but %s", r.Name, place(r.Pos), text))
		if nearest != nil && r.LinkUp && nearest.Words.Get("up") == "false" && c.Links[nearest.Life.Key.ID] != nil && c.Links[nearest.Life.Key.ID].WasUp {
			link = nearest
		}
	})
	return out, link
}

// misses says what a rule lacks to hold a service: of the objects that would
// give the service its name, the one that comes nearest, and its first unmet term.
func (c *Core) misses(r *rule.Rule, required, name string) (text string, best *object.Object) {
	var unmet []string
	for _, o := range c.Objects.All(r.Object) {
		subject := reader{&c.Objects, o}
		expanded, err := rule.Expand(required, subject)
		if _, instance := service.Split(name); err != nil && instance != "" && o.Name() == instance {
			return err.Error(), o
		}
		if err != nil || expanded != name {
			continue
		}
		if u := r.Match.Unmet(subject, nil); best == nil || len(u) < len(unmet) {
			best, unmet = o, u
		}
	}
	_, instance := service.Split(name)
	switch {
	case best == nil && instance != "":
		return fmt.Sprintf("there is no %s that gives the name %s", r.Object, name), nil
	case best == nil:
		return fmt.Sprintf("there is no %s", r.Object), nil
	case len(unmet) > 0:
		return fmt.Sprintf("%s does not match %s", best.Label(), strings.Join(unmet, " and ")), best
	}
	if text := c.missesOthers(r, best); text != "" {
		return text, best
	}
	return "an earlier rule claims " + best.Label(), best
}

// missesOthers says which condition on other objects a rule lacks, or "".
func (c *Core) missesOthers(r *rule.Rule, o *object.Object) string {
	subject := reader{&c.Objects, o}
	for i := range r.While {
		if c.others(&r.While[i], o, subject) != match.Yes {
			return fmt.Sprintf("only while another %s matches %s", r.While[i].Object, r.While[i].Match.String())
		}
	}
	for i := range r.Unless {
		if c.others(&r.Unless[i], o, subject) != match.No {
			return fmt.Sprintf("not while another %s matches %s", r.Unless[i].Object, r.Unless[i].Match.String())
		}
	}
	return ""
}
