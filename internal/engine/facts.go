package engine

import (
	"maps"
	"slices"

	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
)

// report takes in what a source told: how it is, and what changed. The rules
// are asked again about the objects that changed, and, where a rule looks at
// other objects too, about all of its subjects.
func (c *Core) report(r *object.Report) {
	before := c.Sources[r.Status.Name]
	c.Sources[r.Status.Name] = r.Status
	if before.State != r.Status.State {
		c.replan = true
		c.log("source %s: %s%s", r.Status.Name, r.Status.State, colon(r.Status.Error))
	}
	var kinds []object.Kind // whose objects, or whose completeness, changed
	for kind, source := range sourceOf {
		if source == r.Status.Name && before.State != r.Status.State {
			kinds = append(kinds, kind)
		}
	}
	if r.Batch != nil && r.Batch.Full && r.Status.State == object.Synced {
		c.Listed[r.Status.Name] = true
	}
	if r.Batch != nil {
		c.sight(r.Batch)
		changes := c.Objects.Apply(*r.Batch)
		went := r.Batch.Full
		for i := range changes {
			ch := &changes[i]
			went = went || ch.Before != nil && (ch.After == nil || ch.After.Life != ch.Before.Life)
			if ch.From.ID != "" {
				c.rekey(ch.From, ch.After.Life)
			}
			if ch.After == nil && ch.Key.Kind == object.Link {
				c.global = c.global || c.Links[ch.Key.ID] != nil
				delete(c.Links, ch.Key.ID)
			}
			c.evaluate(ch.Key)
			if !slices.Contains(kinds, ch.Key.Kind) {
				kinds = append(kinds, ch.Key.Kind)
			}
		}
		for _, key := range r.Batch.Gone { // a hold that was remembered may be of an object that is not
			if c.Objects.Get(key) == nil {
				c.gone(key)
			}
		}
		c.inherit(changes)
		if r.Batch.Full {
			for id := range c.Links { // of links that went while no daemon looked
				if key := (object.Key{Kind: object.Link, ID: id}); slices.Contains(r.Batch.Kinds, object.Link) && c.Objects.Get(key) == nil {
					delete(c.Links, id)
					c.global = true
				}
			}
			c.confirmed(r.Batch.Kinds)
		}
		if went {
			c.unblock()
		}
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		for _, i := range c.crossed[kind] {
			for _, o := range c.Objects.All(c.conf.Rules[i].Object) {
				c.evaluate(o.Life.Key)
			}
		}
		c.replan = c.replan || c.gated[kind]
	}
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// sight notes since when each object is there, and replaces the word `foreign`
// of a link by what it was when it was first seen: an address that our own service put there later makes nobody foreign.
func (c *Core) sight(b *object.Batch) {
	for i := range b.Put {
		o := &b.Put[i]
		o.Since = c.now.Wall
		if was := c.Objects.Get(o.Life.Key); was != nil && was.Life.Incarnation == o.Life.Incarnation {
			o.Since = was.Since
		}
		if o.Life.Key.Kind != object.Link {
			continue
		}
		memo := c.Links[o.Life.Key.ID]
		if memo == nil {
			memo = &LinkMemo{Foreign: o.Words.Get("foreign") == "true"}
			c.Links[o.Life.Key.ID] = memo
			c.global = true
		}
		if !memo.WasUp && o.Words.Get("up") == "true" {
			memo.WasUp, c.global = true, true
		}
		if foreign := object.Bool(memo.Foreign); !slices.Equal(o.Words["foreign"], foreign) {
			o.Words = maps.Clone(o.Words)
			o.Words["foreign"] = foreign
		}
	}
}

// inherit asks again about what is beneath devices that changed, for rules that
// look at ancestors (ATTRS{…}).
func (c *Core) inherit(changes []object.Change) {
	if !c.ancestors {
		return
	}
	for i := range changes {
		if changes[i].Key.Kind != object.Device {
			continue
		}
		for _, o := range c.Objects.All(object.Device) {
			if id, top := o.Life.Key.ID, changes[i].Key.ID+"/"; len(id) > len(top) && id[:len(top)] == top {
				c.evaluate(o.Life.Key)
			}
		}
	}
}

// reader gives the words of one object, ancestors' included.
type reader struct {
	store *object.Store
	o     *object.Object
}

func (r reader) Values(word string) ([]string, bool) { return r.store.Values(r.o, word) }

// evaluate asks the rules about one object and brings its holds in line. It is
// the one way from objects to holds: coldplug, hotplug, resync and reload are
// the same to it.
func (c *Core) evaluate(key object.Key) {
	o := c.Objects.Get(key)
	if o == nil {
		c.gone(key)
		return
	}
	c.scratch = c.index.Candidates(o, c.scratch[:0])
	claimed := match.No
	mark := c.audit(key)
	for _, i := range c.scratch {
		r := &c.conf.Rules[i]
		answer := min(c.asks(r, o), match.Yes-claimed)
		c.linkUp(r, o, claimed)
		if answer != match.No {
			mark.seen(r.Name)
			c.hold(r, o, answer)
		}
		if r.Claim {
			claimed = max(claimed, answer)
		}
	}
	mark.loseOthers()
}

// asks answers for a rule's whole condition with this object as its subject.
func (c *Core) asks(r *rule.Rule, o *object.Object) match.Answer {
	subject := reader{&c.Objects, o}
	answer := r.Match.Eval(subject, nil)
	for i := range r.While {
		if answer == match.No {
			return match.No
		}
		answer = min(answer, c.others(&r.While[i], o, subject))
	}
	for i := range r.Unless {
		if answer == match.No {
			return match.No
		}
		answer = min(answer, match.Yes-c.others(&r.Unless[i], o, subject))
	}
	return answer
}

// others answers whether any object but the subject matches. That none does is
// a fact only when the kind's source has told all.
func (c *Core) others(x *rule.Other, not *object.Object, subject match.Reader) match.Answer {
	answer := match.No
	if !c.complete(x.Object) {
		answer = match.Unknown
	}
	for _, o := range c.Objects.All(x.Object) {
		if o == not {
			continue
		}
		if a := x.Match.Eval(reader{&c.Objects, o}, subject); a > answer {
			answer = a
		}
		if answer == match.Yes {
			break
		}
	}
	return answer
}

// linkUp sets a link up for a rule that asks for it, once in the link's life:
// an administrator's later `down` stands.
func (c *Core) linkUp(r *rule.Rule, o *object.Object, claimed match.Answer) {
	if !r.LinkUp || claimed != match.No || o.Life.Key.Kind != object.Link {
		return
	}
	memo := c.Links[o.Life.Key.ID]
	w := o.Words
	if memo == nil || memo.WasUp || w.Get("up") != "false" || len(w["master"]) > 0 || memo.Foreign {
		return
	}
	if w.Get("physical") != "true" && len(r.Match.Literals("name")) == 0 {
		return
	}
	identity := r.Identity()
	if identity.Eval(reader{&c.Objects, o}, nil) != match.Yes {
		return
	}
	memo.WasUp = true
	c.global = true
	c.emit(Effect{Kind: EffectLinkUp, Ifindex: int(o.Life.Incarnation)})
	c.log("%s: set up for %s (%s)", o.Label(), hold.RuleHolder(r.Name), place(r.Pos))
}
