package engine

import (
	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// Whose turn it is: what keeps a service that could start from starting now,
// because others run or start.

// slotsTaken counts the services on their way up. One whose own command waits
// for another service to come up gives its slot away: that one may need it.
func (c *Core) slotsTaken() int {
	if c.opt.Slots == 0 {
		return 0
	}
	n := 0
	for _, u := range c.order {
		if s := u.Machine.State; s == service.Pre || s == service.Starting {
			n++
		}
	}
	waiting := map[string]bool{}
	for i := range c.Waits {
		by := c.Waits[i].From
		if u := c.Units[by]; u != nil && !c.Waits[i].Met && !waiting[by] && (u.Machine.State == service.Pre || u.Machine.State == service.Starting) {
			waiting[by] = true
			n--
		}
	}
	return n
}

// twin is another instance of the same template that runs for the same object:
// after a rename the old one has to end first, because two supplicants on one
// interface break each other.
func (c *Core) twin(u *Unit) *Unit {
	if u.instance == "" {
		return nil
	}
	if c.runs == nil {
		c.runs = map[runFor]*Unit{}
		for _, o := range c.order {
			if !o.Machine.AtRest() && o.instance != "" && o.Run.Key.ID != "" {
				c.runs[runFor{o.def, o.Run.Key}] = o
			}
		}
	}
	if o := c.runs[runFor{u.def, u.primary().Life.Key}]; o != nil && o != u && (o.must || o.want != hold.Up || !o.Machine.Active()) {
		return o // one that stays was asked for beside this one
	}
	return nil
}

// runFor is a template at work for an object.
type runFor struct {
	def *service.Definition
	key object.Key
}
