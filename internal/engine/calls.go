package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
	"hotsvc/internal/status"
)

// call answers a question at once, or does what a verb says to the holds and
// caps and leaves a wait behind. It starts and stops nothing itself.
func (c *Core) call(call *Call) {
	switch call.Verb {
	case VerbStatus:
		c.answer(call.ID, c.Report(call.Services))
	case VerbWhy:
		c.answerWhy(call)
	case VerbObjects:
		c.answerObjects(call)
	case VerbRules:
		c.answer(call.ID, c.rulesReport())
	case VerbMonitor:
		c.Monitors = append(c.Monitors, monitor{ID: call.ID, Patterns: call.Services, Seen: c.transitions()})
	case VerbRecord:
		c.newRecorders = append(c.newRecorders, call.ID)
	case VerbSuspend, VerbStopAll:
		c.suspend(call)
	case VerbShutdown:
		c.Shutdown, c.replan = true, true
		c.bound()
		c.Waits = append(c.Waits, c.newWait(call, "", waitAllDown))
	case VerbResume:
		c.Suspended, c.global, c.replan = "", true, true
		c.answer(call.ID, []status.Done{{Text: "services follow their holds again"}})
	default:
		c.verbs(call)
	}
}

func (c *Core) suspend(call *Call) {
	if c.fromInside(call) {
		return
	}
	c.Suspended, c.global, c.replan = call.Peer.name(), true, true
	if call.Verb == VerbSuspend || call.NoWait {
		c.answer(call.ID, []status.Done{{State: stateDown, Text: "every service is to be down until `hsctl resume`"}})
		return
	}
	c.Waits = append(c.Waits, c.newWait(call, "", waitAllDown))
}

// name is a person as a holder.
func (p Peer) name() string { return "uid:" + strconv.Itoa(p.UID) }

// maxNames bounds what one call can make the loop do.
const maxNames = 256

// verbs does those that name services. All names are checked before
// anything is done for the first.
func (c *Core) verbs(call *Call) {
	if len(call.Services) == 0 {
		c.refuse(call.ID, CodeUsage, string(call.Verb)+": name a service")
		return
	}
	if len(call.Services) > maxNames {
		c.refuse(call.ID, CodeUsage, fmt.Sprintf("%s: %d services at once: at most %d", call.Verb, len(call.Services), maxNames))
		return
	}
	for _, name := range call.Services {
		if why := c.nameProblem(name); why != "" {
			c.refuse(call.ID, CodeUnknown, why)
			return
		}
	}
	if c.Units[call.Peer.Service] == nil {
		call.Peer.Service = "" // a process that outlived its service speaks for itself
	}
	if c.fromInside(call) {
		return
	}
	if call.Verb == VerbHold {
		c.outlived(call.Peer.Client)
	}
	if c.relink {
		c.link()
	}
	if c.replan { // what was said before in the same Step counts
		c.gates()
		c.want()
	}
	took := map[string]bool{} // services on which this call made a hold, which ends if the call fails
	for _, name := range call.Services {
		u := c.unit(name)
		before := u.required(call.holder())
		if why := c.apply(call, u); why != "" {
			c.refuse(call.ID, CodeNo, why)
			for _, name := range call.Services {
				if took[name] {
					c.Units[name].answered(call.holder())
					c.unhold(c.Units[name], call.holder())
				}
			}
			return
		}
		if u.required(call.holder()) > before {
			took[name] = true
		}
	}
	goal := waitUp
	switch call.Verb {
	case VerbStop, VerbBlock, VerbRelease:
		goal = waitDown
	case VerbWait:
		if call.For == "down" {
			goal = waitDown
		}
	case VerbUnblock, VerbReloadService, VerbOnce, VerbSignal, VerbExit:
		goal = waitNothing
	case VerbRestart:
		goal = waitNew
	}
	for _, name := range call.Services {
		w := c.newWait(call, name, goal)
		if took[name] {
			w.Holder = call.holder()
		}
		if call.Verb == VerbRelease && c.heldUp(c.unit(name)) {
			w.Goal = waitNothing // others hold it still
		}
		w.Gen = c.unit(name).Gen
		c.Waits = append(c.Waits, w)
	}
}

// nameProblem says why there is no service of that name, or "".
func (c *Core) nameProblem(name string) string {
	if c.Units[name] != nil || c.known(name) {
		return ""
	}
	if c.conf.Services[name+"@"] != nil || strings.HasSuffix(name, "@") && c.conf.Services[name] != nil {
		name = strings.TrimSuffix(name, "@") + "@"
		var have []string
		for _, n := range c.names() {
			if strings.HasPrefix(n, name) {
				have = append(have, n)
			}
		}
		if len(have) == 0 {
			return fmt.Sprintf("%s is a template: which instance? none exists now; name one, as in %seth0", name, name)
		}
		return fmt.Sprintf("%s is a template: which instance? %s", name, strings.Join(have, " "))
	}
	if template, instance := service.Split(name); c.conf.Services[template] != nil && instance != "" {
		return name + ": " + service.CheckName(name)
	}
	for _, o := range c.Objects.All("link") {
		if o.Name() == name {
			return fmt.Sprintf("%s is a link, not a service; services on it: %s", name, c.servicesOn(o.Life.Key))
		}
	}
	if wrong := c.conf.ErrorOf(name); wrong != "" {
		return fmt.Sprintf("no service %s: %s", name, wrong)
	}
	return fmt.Sprintf("no service %s: `hsctl status` lists what there is", name)
}

func (c *Core) servicesOn(key object.Key) string {
	var on []string
	for _, n := range c.names() {
		if slices.ContainsFunc(c.Units[n].Holds, func(h hold.Hold) bool { return h.Life.Key == key }) {
			on = append(on, n)
		}
	}
	if len(on) == 0 {
		return "none"
	}
	return strings.Join(on, " ")
}

// apply does one verb to one service's holds and cap. It returns why not, or "".
func (c *Core) apply(call *Call, u *Unit) string {
	by := call.Peer.name()
	switch call.Verb {
	case VerbRequire, VerbHold:
		return c.require(call, u)
	case VerbRelease:
		return c.release(call, u)
	case VerbStart:
		c.lift(u, by+" started it")
		u.Pardon = c.next()
		for key := range c.Damps {
			if strings.HasSuffix(key, "\n"+u.Name) {
				delete(c.Damps, key)
			}
		}
		for i := range u.Holds {
			if h := &u.Holds[i]; h.Phase == hold.Suppressed {
				h.Phase, h.Deadline, h.Number = hold.Held, 0, c.next()
			}
		}
		if !c.heldUp(u) {
			u.Holds = append(u.Holds, hold.Hold{Holder: hold.Admin, Number: c.next(), Count: 1, Phase: hold.Held, Since: c.now.Wall, Cause: by})
		}
		c.touched(u, "started by "+by+": "+c.heldFor(u))
	case VerbStop, VerbBlock:
		kind := hold.CapStop
		if call.Verb == VerbBlock {
			kind = hold.CapBlock
		}
		u.Holds = slices.DeleteFunc(u.Holds, isAdmin)
		if kind == hold.CapBlock || u.Cap.Kind != hold.CapBlock { // a stop does not weaken a block
			u.Cap = hold.Cap{Kind: kind, By: by, Since: c.now.Wall}
		}
		u.Owed = false
		if u.Cap.Kind == hold.CapStop {
			c.behind(u, &u.Cap.Gone, map[*Unit]bool{})
		}
		u.Machine.Relent()
		c.touched(u, map[Verb]string{VerbStop: "stopped by ", VerbBlock: "blocked by "}[call.Verb]+by)
	case VerbUnblock:
		c.lift(u, "unblocked by "+by)
	case VerbRestart:
		switch {
		case u.want == hold.Keep && u.Machine.Active():
			return fmt.Sprintf("%s is %s and nothing may restart it now: %s", u.Name, c.public(u), c.unwanted(u).what)
		case u.want != hold.Up:
			unmet, remedy := c.unmet(u, c.unwanted(u))
			return fmt.Sprintf("%s is not running and is not to run: %s: %s", u.Name, unmet, remedy)
		}
		u.Gen++
		u.Pardon = c.next()
		c.touched(u, "restarted by "+by)
	case VerbReloadService:
		return c.reloadService(u)
	case VerbOnce:
		c.once(call, u)
	case VerbSignal:
		return c.signal(call, u)
	case VerbExit:
		c.exit(u, by)
	}
	return ""
}

// behind collects the objects that hold a service, directly or through those
// that pull it up.
func (c *Core) behind(u *Unit, lives *[]object.Life, seen map[*Unit]bool) {
	if seen[u] {
		return
	}
	seen[u] = true
	for i := range u.Holds {
		if h := &u.Holds[i]; h.Life.Key.ID != "" && !c.vanished(h.Life) && !slices.Contains(*lives, h.Life) {
			*lives = append(*lives, h.Life)
		}
	}
	for _, d := range c.order {
		if slices.Contains(d.needs, u) || slices.Contains(d.wants, u) || slices.Contains(d.inner, u) {
			c.behind(d, lives, seen)
		}
	}
}

func (c *Core) reloadService(u *Unit) string {
	switch signal := u.eff.Policy.ReloadSignal; {
	case signal == "":
		return fmt.Sprintf("%s has no reload_signal: set one in its file, or use `hsctl restart %s`", u.Name, u.Name)
	case u.Machine.Process != service.Known || u.Machine.State != service.Up:
		return u.Name + " is not running"
	default:
		c.emit(Effect{Kind: EffectSignal, Service: u.Name, Attempt: u.Machine.Attempt, Signal: signal})
	}
	return ""
}

// lift ends a stop or a block.
func (c *Core) lift(u *Unit, because string) {
	u.Cap, u.Owed = hold.Cap{}, false
	c.touched(u, because)
}

// heldUp tells whether anything holds the service, directly or through what
// pulls it up, whatever caps either.
func (c *Core) heldUp(u *Unit) bool { return c.holdsUp(u, map[*Unit]bool{}) }

func (c *Core) holdsUp(u *Unit, seen map[*Unit]bool) bool {
	if seen[u] {
		return false
	}
	seen[u] = true
	for i := range u.Holds {
		if _, inner := u.Holds[i].Service(); !inner && u.Holds[i].Phase == hold.Held {
			return true
		}
	}
	return slices.ContainsFunc(c.order, func(o *Unit) bool {
		return (slices.Contains(o.needs, u) || slices.Contains(o.wants, u) || slices.Contains(o.inner, u)) && c.holdsUp(o, seen)
	})
}

// holder is in whose name a call holds.
func (call *Call) holder() string {
	switch {
	case call.Verb == VerbHold:
		return "pid:" + strconv.Itoa(call.Peer.Client.Pid)
	case call.As != "":
		return "as:" + call.As
	case call.Peer.Service != "":
		return hold.ServiceHolder(call.Peer.Service)
	}
	return call.Peer.name()
}

// require takes a hold. A person's counts; every other is idempotent.
func (c *Core) require(call *Call, u *Unit) string {
	holder := call.holder()
	if p := c.Units[call.Peer.Service]; p != nil && holder == hold.ServiceHolder(p.Name) {
		if c.relink {
			c.link() // it may be new, and have no edges yet
		}
		if u.reaches(p, map[*Unit]bool{}) {
			return fmt.Sprintf("%s cannot require %s: %s waits for %s already", p.Name, u.Name, u.Name, p.Name)
		}
		c.relink = true
	}
	if h := u.heldBy(holder); h != nil {
		if holder == call.Peer.name() {
			h.Count++
			h.Asked++
			u.dirty = true
		}
		return ""
	}
	h := hold.Hold{Holder: holder, Number: c.next(), Count: 1, Phase: hold.Held, Since: c.now.Wall}
	if holder == call.Peer.name() {
		h.Asked = 1
	}
	if call.Verb == VerbHold {
		client := call.Peer.Client
		h.Client = client.Started
		c.emit(Effect{Kind: EffectWatch, Client: &client})
	}
	u.Holds = append(u.Holds, h)
	c.touched(u, holder+" requires it")
	return ""
}

func (c *Core) release(call *Call, u *Unit) string {
	if !c.unhold(u, call.holder()) {
		return fmt.Sprintf("%s does not hold %s: `hsctl status %s` shows who does", call.holder(), u.Name, u.Name)
	}
	return ""
}

// unhold takes one back of what a holder required, and tells whether there was any.
func (c *Core) unhold(u *Unit, holder string) bool {
	h := u.heldBy(holder)
	if h == nil {
		return false
	}
	if h.Count--; h.Count > 0 {
		u.dirty = true
		return true
	}
	c.drop(u, h, holder+" released it")
	return true
}

// heldBy returns the hold of a holder that is not a rule, or nil.
func (u *Unit) heldBy(holder string) *hold.Hold {
	for i := range u.Holds {
		if u.Holds[i].Holder == holder && u.Holds[i].Life.Key.ID == "" {
			return &u.Holds[i]
		}
	}
	return nil
}

// required is how often a holder has required the service.
func (u *Unit) required(holder string) int {
	if h := u.heldBy(holder); h != nil {
		return h.Count
	}
	return 0
}
