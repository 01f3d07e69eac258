package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
)

// What a hold does when its rule's condition (yes, no, unknown) or its object
// changes:
//
//	            yes                       no                          object gone
//	(none)      held, or settling, or     –                           –
//	            suppressed
//	settling    goes on                   dropped                     dropped
//	held        goes on                   lingering, or dropped       lingering (linger_gone), or dropped
//	lingering   held, with a new number   goes on                     ends at linger_gone at the latest
//	provisional held, number kept         lingering, or dropped       the same
//	suppressed  goes on                   dropped                     dropped
//
// Unknown changes nothing. Deadlines: settling → held; lingering → dropped;
// suppressed → held, with a new number.

// hold brings one rule's holds through one object in line with yes or unknown.
func (c *Core) hold(r *rule.Rule, o *object.Object, answer match.Answer) {
	if answer == match.Unknown {
		return
	}
	services, known := c.expand(r, o)
	if !known {
		return
	}
	had := false // the rule held through this object: a rename hands over, without settle
	for _, u := range c.holders(r.Name, o.Life.Key) {
		h := u.held(r.Name, o.Life.Key)
		had = had || h.Phase == hold.Held || h.Phase == hold.Lingering || h.Phase == hold.Provisional
		if !slices.Contains(services, u.Name) {
			because := o.Label() + " has another name now"
			if !slices.ContainsFunc(r.Require, func(n string) bool { return templateOf(n) == templateOf(u.Name) }) {
				because = "it does not require that any more"
			}
			c.drop(u, h, h.Holder+": "+because)
		}
	}
	for _, name := range services {
		c.holdOne(r, o, c.unit(name), had)
	}
}

func (c *Core) holdOne(r *rule.Rule, o *object.Object, u *Unit, had bool) {
	life, marks := o.Life, marksOf(r, o)
	if !r.ReadsState() {
		life.Flaps = 0 // a carrier flap is nothing to this rule
	}
	h := u.held(r.Name, o.Life.Key)
	if h == nil {
		n := hold.Hold{Holder: hold.RuleHolder(r.Name), Life: life, Marks: marks, Number: c.next(), Count: 1,
			Phase: hold.Held, Since: c.now.Wall, Cause: o.Cause}
		if until := c.suppressed(r, u); until > 0 {
			n.Phase, n.Deadline = hold.Suppressed, until
		} else if r.Settle > 0 && !had {
			n.Phase, n.Deadline = hold.Settling, c.now.Mono+r.Settle
		}
		u.Holds = append(u.Holds, n)
		c.touched(u, fmt.Sprintf("%s: %s matches (%s)", n.Holder, o.Label(), said(o.Cause)))
		return
	}
	if h.Life == life && h.Marks == marks && (h.Phase == hold.Held || h.Phase == hold.Settling || h.Phase == hold.Suppressed) {
		return
	}
	switch h.Phase {
	case hold.Held:
		c.unseen(r, u, h, life)
	case hold.Settling: // broken by a flap that nobody saw
		if h.Life != life {
			h.Deadline = c.now.Mono + r.Settle
		}
	case hold.Provisional:
		h.Phase, h.Deadline = hold.Held, 0
	case hold.Lingering:
		h.Phase, h.Deadline, h.Number, h.Cause = hold.Held, 0, c.next(), o.Cause
		if until := c.suppressed(r, u); until > 0 {
			h.Phase, h.Deadline = hold.Suppressed, until
		}
	}
	if h.Life.Incarnation != life.Incarnation {
		h.Number, h.Since, h.Cause = c.next(), c.now.Wall, o.Cause
	}
	h.Life, h.Marks = life, marks
	c.touched(u, fmt.Sprintf("%s: %s matches (%s)", h.Holder, o.Label(), said(o.Cause)))
}

// lose is what happens to a hold whose condition does not hold any more.
func (c *Core) lose(u *Unit, h *hold.Hold, gone bool, cause string) {
	r := c.rule(h.Holder)
	if r == nil {
		c.drop(u, h, h.Holder+": the rule is gone")
		return
	}
	linger := r.Linger
	if gone {
		linger = r.LingerGone
	}
	if (h.Phase == hold.Held || h.Phase == hold.Suppressed) && r.Damping != nil {
		c.damp(r, u).Lose(c.now.Mono, r.Damping)
	}
	switch h.Phase {
	case hold.Settling, hold.Suppressed:
		linger = 0
	case hold.Lingering:
		if gone && linger <= 0 {
			c.drop(u, h, cause)
			return
		}
		if gone && c.now.Mono+linger < h.Deadline {
			h.Deadline = c.now.Mono + linger
			u.dirty = true
		}
		return
	}
	if linger <= 0 {
		c.drop(u, h, cause)
		return
	}
	h.Phase, h.Deadline = hold.Lingering, c.now.Mono+linger
	c.touched(u, cause)
}

// drop ends a hold.
func (c *Core) drop(u *Unit, h *hold.Hold, because string) {
	holder, key := h.Holder, h.Life.Key
	_, inner := h.Service()
	u.Holds = slices.DeleteFunc(u.Holds, func(x hold.Hold) bool { return x.Holder == holder && x.Life.Key == key })
	c.relink = c.relink || inner
	c.touched(u, because)
}

// touched notes that a unit's holds changed, and why.
func (c *Core) touched(u *Unit, because string) {
	u.Because = because
	u.dirty, u.faded, c.replan = true, true, true
}

// held returns the hold that a rule has through an object, or nil.
func (u *Unit) held(rule string, key object.Key) *hold.Hold {
	for i := range u.Holds {
		if h := &u.Holds[i]; h.Life.Key == key {
			if n, ok := h.Rule(); ok && n == rule {
				return h
			}
		}
	}
	return nil
}

// holders lists the units that a rule holds through an object, in name order.
func (c *Core) holders(rule string, key object.Key) []*Unit {
	var out []*Unit
	for _, u := range c.order {
		if u.held(rule, key) != nil {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, byName)
	return out
}

// gone ends what an object held that does not exist any more.
func (c *Core) gone(key object.Key) {
	s := c.audit(key)
	s.loseOthers()
}

// audit goes over the holds of one object: what no rule has seen to is lost.
type audit struct {
	c     *Core
	key   object.Key
	units []*Unit
	rules []string
}

func (c *Core) audit(key object.Key) audit {
	s := audit{c: c, key: key}
	for _, u := range c.order {
		if slices.ContainsFunc(u.Holds, func(h hold.Hold) bool { return h.Life.Key == key }) {
			s.units = append(s.units, u)
		}
	}
	slices.SortFunc(s.units, byName)
	return s
}

func (s *audit) seen(rule string) { s.rules = append(s.rules, rule) }

func (s *audit) loseOthers() {
	o := s.c.Objects.Get(s.key)
	for _, u := range s.units {
		for _, h := range slices.Clone(u.Holds) {
			name, ok := h.Rule()
			if !ok || h.Life.Key != s.key || slices.Contains(s.rules, name) {
				continue
			}
			cause := fmt.Sprintf("%s: %s is gone", h.Holder, s.key)
			if o != nil {
				cause = fmt.Sprintf("%s: %s does not match any more (%s)", h.Holder, o.Label(), said(o.Cause))
			}
			s.c.lose(u, u.held(name, s.key), o == nil, cause)
		}
	}
}

// confirmed ends what was remembered of objects that a first full list does not
// have.
func (c *Core) confirmed(kinds []object.Kind) {
	for _, name := range c.names() {
		u := c.Units[name]
		for _, h := range slices.Clone(u.Holds) {
			if _, ok := h.Rule(); ok && slices.Contains(kinds, h.Life.Key.Kind) && c.Objects.Get(h.Life.Key) == nil {
				c.gone(h.Life.Key)
			}
		}
	}
}

// dropUnruled ends the holds of rules that a configuration has no more.
func (c *Core) dropUnruled() {
	for _, name := range c.names() {
		u := c.Units[name]
		for _, h := range slices.Clone(u.Holds) {
			if rule, ok := h.Rule(); ok && c.rule(h.Holder) == nil {
				c.drop(u, u.held(rule, h.Life.Key), h.Holder+": the rule is gone")
			}
		}
	}
}

// rekey has holds follow a device to its new devpath.
func (c *Core) rekey(from object.Key, to object.Life) {
	for _, u := range c.order {
		if u.Run.Key == from {
			u.Run.Key, u.dirty = to.Key, true
		}
		moved := slices.Clone(u.Holds)
		moved = slices.DeleteFunc(moved, func(h hold.Hold) bool { return h.Life.Key != from })
		for _, h := range moved { // what stood at the new devpath went unseen
			u.Holds = slices.DeleteFunc(u.Holds, func(o hold.Hold) bool { return o.Holder == h.Holder && o.Life.Key == to.Key })
		}
		for i := range u.Holds {
			if u.Holds[i].Life.Key == from {
				u.Holds[i].Life.Key = to.Key
				u.dirty = true
			}
		}
		for i := range u.Cap.Gone {
			if l := &u.Cap.Gone[i]; l.Key == from {
				l.Key, u.dirty = to.Key, true
			}
		}
		for i := range u.Cover {
			for j := range u.Cover[i].Marks {
				if l := &u.Cover[i].Marks[j].Life; l.Key == from {
					l.Key, u.dirty = to.Key, true
				}
			}
		}
	}
}

// unblock lifts the stops whose objects have all gone: the next stick must
// mount. It looks at what exists, so a removal that nobody saw counts too.
func (c *Core) unblock() {
	for _, u := range c.order {
		if u.Cap.Kind != hold.CapStop || len(u.Cap.Gone) == 0 {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(u.Cap.Gone), c.vanished)
		if len(left) == len(u.Cap.Gone) {
			continue
		}
		u.Cap.Gone = left
		if len(left) == 0 {
			c.lift(u, "what held it when it was stopped is gone")
		}
		u.dirty = true
	}
}

// vanished tells whether that life of an object is known to be over.
func (c *Core) vanished(l object.Life) bool {
	o := c.Objects.Get(l.Key)
	return c.Listed[sourceOf[l.Key.Kind]] && (o == nil || o.Life.Incarnation != l.Incarnation)
}

// holdDeadlines ends the phases that are over.
func (c *Core) holdDeadlines(u *Unit) {
	for i := 0; i < len(u.Holds); i++ {
		h := &u.Holds[i]
		if h.Deadline == 0 || h.Deadline > c.now.Mono {
			continue
		}
		switch h.Phase {
		case hold.Lingering:
			c.drop(u, h, h.Holder+": its linger is over")
			i--
		case hold.Settling, hold.Suppressed:
			if h.Phase == hold.Suppressed {
				h.Number = c.next()
			}
			h.Phase, h.Deadline = hold.Held, 0
			c.touched(u, h.Holder+": settled")
		}
	}
}

// expand names the services that a rule requires through an object. What cannot
// be named is left out; `rules` and `why` say so. known is false while a word
// that a name is made of is unknown.
func (c *Core) expand(r *rule.Rule, o *object.Object) (out []string, known bool) {
	for _, template := range r.Require {
		name, err := rule.Expand(template, reader{&c.Objects, o})
		if errors.Is(err, rule.ErrUnknown) {
			return nil, false
		}
		if err == nil && c.known(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, true
}

func templateOf(name string) string {
	template, _ := service.Split(name)
	return template
}

// marksOf joins the values of a rule's bounce_on words.
func marksOf(r *rule.Rule, o *object.Object) string {
	var b strings.Builder
	for _, w := range r.BounceOn {
		fmt.Fprintf(&b, "%s=%q ", w, o.Words[w])
	}
	return b.String()
}

// rule returns the rule that a holder names, or nil.
func (c *Core) rule(holder string) *rule.Rule {
	name, ok := strings.CutPrefix(holder, "rule:")
	for i := range c.conf.Rules {
		if ok && c.conf.Rules[i].Name == name {
			return &c.conf.Rules[i]
		}
	}
	return nil
}

// clientGone ends what a process held.
func (c *Core) clientGone(gone Client) {
	holder := "pid:" + strconv.Itoa(gone.Pid)
	for _, name := range c.names() {
		u := c.Units[name]
		if h := u.heldBy(holder); h != nil && h.Client == gone.Started {
			c.drop(u, h, holder+" is gone")
		}
	}
}

// outlived ends what earlier processes with a caller's pid held: they are gone,
// although nobody has said so yet.
func (c *Core) outlived(by Client) {
	holder := "pid:" + strconv.Itoa(by.Pid)
	for _, name := range c.names() {
		u := c.Units[name]
		if h := u.heldBy(holder); h != nil && h.Client < by.Started {
			c.drop(u, h, holder+" is gone")
		}
	}
}
