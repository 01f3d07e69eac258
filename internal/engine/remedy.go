package engine

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// unmet says what is missing and what would change it.
func (c *Core) unmet(u *Unit, o obstacle) (unmet, remedy string) {
	if m := &u.Machine; m.State == service.Rest && m.Why == service.Failed && m.Outcome == service.Refused {
		return "exec_stop did not undo it, and what it did stands: " + u.lastExit(), "free what it holds, then `hsctl stop " + u.Name + "` again"
	}
	at := u
	if o.at != nil {
		at = o.at
	}
	switch o.kind {
	case "":
		if u.Machine.State == service.Up {
			return "nothing would keep it from starting again", ""
		}
		return "nothing is missing: it is " + c.public(u), "wait, or look at `hsctl status " + u.Name + "`"
	case "unwanted":
		return c.unheld(u, o)
	case "blocked":
		if wrong := c.conf.ErrorOf(u.Name); o.at == nil && u.def != nil && u.def.Broken != "" && wrong != "" {
			return wrong, c.unblocking(u)
		}
		return o.what, c.unblocking(at)
	case "gate":
		return o.String(), at.opening()
	case "needs":
		t := c.Units[o.what]
		deeper, remedy := c.unmet(t, c.obstacle(t))
		if t.Machine.State == service.Up {
			deeper, remedy = "it is on its way down", "wait"
		}
		return fmt.Sprintf("needs %s, which is %s: %s", t.Name, c.public(t), deeper), remedy
	case "after":
		return o.String(), "wait"
	case "backoff":
		return o.what, u.mending()
	case "starting":
		return o.what, "wait: `hsctl logs " + u.Name + "` shows what it says"
	}
	return o.what, "wait, or `hsctl start " + u.Name + "`"
}

// unheld says why nothing holds a service, and what would.
func (c *Core) unheld(u *Unit, o obstacle) (unmet, remedy string) {
	if source := c.untold(u.Name); source != "" {
		return "source " + source + " has not listed what exists yet", "wait"
	}
	rules, link := c.rulesFor(u.Name)
	switch {
	case link != nil:
		return o.what + ": " + strings.Join(rules, "; "), fmt.Sprintf(
			"somebody set %s down after hotsvc had set it up, and that stands: `ip link set %s up`, or `hsctl start %s`", link.Label(), link.Name(), u.Name)
	case len(rules) > 0:
		return o.what + ": " + strings.Join(rules, "; "), fmt.Sprintf("that condition, or `hsctl start %s`", u.Name)
	case u.def != nil && u.def.Dialect == service.Runit && u.instance == "" && !u.def.Policy.StartAtBoot:
		down := path.Join(path.Dir(u.def.Pos.File), "down")
		return o.what + ": " + down + " keeps it down", fmt.Sprintf("`hsctl start %s`; without %s it runs from the next start of hotsvc on", u.Name, down)
	}
	return o.what, fmt.Sprintf("no rule requires it: `hsctl start %s`, or write a rule", u.Name)
}

// unblocking is what lets a service go that unwanted says is blocked, in the
// same order.
func (c *Core) unblocking(u *Unit) string {
	switch {
	case u.def == nil && u.Cap.Kind != "":
		return fmt.Sprintf("`hsctl unblock %s` forgets it; or write it again, then `hsctl reload`", u.Name)
	case u.def == nil:
		return "write it again, then `hsctl reload`"
	case u.def.Broken != "":
		return "mend that, then `hsctl reload`"
	case u.def.Masked:
		return "remove that empty file, then `hsctl reload`"
	case c.Shutdown:
		return "wait for the next start of hotsvc"
	case c.Suspended != "":
		return "`hsctl resume`"
	}
	return "`hsctl start " + u.Name + "`"
}

// opening is what opens the first gate that is closed.
func (u *Unit) opening() string {
	for i := range u.Gates {
		g := &u.def.Policy.Gates[i]
		if !u.Gates[i].Open && g.Object == object.Clock && !g.Absent && slices.Contains(g.Match.Words(), "synchronized") {
			return "the clock is not synchronized: run an NTP client, such as `hsctl start ntpd`"
		}
	}
	return "an object that opens it: `hsctl objects` lists what exists"
}

// mending is what helps a service whose last run failed, or has done its work.
func (u *Unit) mending() string {
	switch m := &u.Machine; {
	case m.Why == service.Done:
		return "`hsctl restart " + u.Name + "`"
	case u.Exit != nil && u.Exit.What == "spawn": // it never ran, so it has said nothing
		return fmt.Sprintf("mend that, then `hsctl restart %s`", u.Name)
	case m.Why == service.Backoff:
		return fmt.Sprintf("`hsctl logs %s` shows what it said; `hsctl restart %s` does not wait", u.Name, u.Name)
	}
	return fmt.Sprintf("`hsctl logs %s` shows what it said; mend that, then `hsctl restart %s`", u.Name, u.Name)
}
