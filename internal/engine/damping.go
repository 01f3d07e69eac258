package engine

import (
	"maps"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
)

// unseen counts the flaps that only the kernel's counter tells of: it tells of a
// carrier once a second at most, so that a bad cable shows in nothing else.
func (c *Core) unseen(r *rule.Rule, u *Unit, h *hold.Hold, life object.Life) {
	if r.Damping == nil || h.Life.Incarnation != life.Incarnation {
		return
	}
	for n := h.Life.Flaps; n < life.Flaps && n < h.Life.Flaps+uint32(r.Damping.Suppress); n++ {
		c.damp(r, u).Lose(c.now.Mono, r.Damping)
	}
	if until := c.suppressed(r, u); until > 0 {
		h.Phase, h.Deadline = hold.Suppressed, until
	}
}

func dampKey(r *rule.Rule, u *Unit) string { return r.Name + "\n" + u.Name }

// forgetDamp is how long a penalty is remembered at most: names come and go.
const forgetDamp = 24 * time.Hour

// damp returns the penalty of a rule and a service.
func (c *Core) damp(r *rule.Rule, u *Unit) *hold.Damp {
	d := c.Damps[dampKey(r, u)]
	if d == nil {
		maps.DeleteFunc(c.Damps, func(_ string, d *hold.Damp) bool { return c.now.Mono-d.At > forgetDamp })
		d = &hold.Damp{}
		c.Damps[dampKey(r, u)] = d
	}
	return d
}

// suppressed returns until when a hold is withheld, or 0.
func (c *Core) suppressed(r *rule.Rule, u *Unit) time.Duration {
	if r.Damping == nil || c.Damps[dampKey(r, u)] == nil {
		return 0
	}
	return c.damp(r, u).Until(c.now.Mono, r.Damping)
}
