package engine

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
)

// checkStarts: a start is decided only while every need is up.
func (w *world) checkStarts(effects []Effect) {
	for _, e := range effects {
		if e.Kind != EffectSpawn {
			continue
		}
		u := w.core.Units[e.Service]
		if u == nil || e.Command != service.CommandPre && e.Command != service.CommandMain || u.Machine.State != service.Pre && u.Machine.State != service.Starting {
			continue
		}
		if e.Command == service.CommandMain && len(u.eff.Exec.Pre) > 0 {
			continue // decided with the pre
		}
		for _, t := range u.needs {
			if t.Machine.State != service.Up {
				w.bad("%s starts while %s, which it needs, is %v", u.Name, t.Name, t.Machine.State)
			}
		}
	}
}

// checkSaved: what is about to be cloned is on disk, with its attempt.
func (w *world) checkSaved(s string, e Effect) {
	if u := decodeRecord(w.disk[s]); u.Machine.Attempt < e.Attempt {
		w.bad("%s attempt %d is cloned and the record says %d", s, e.Attempt, u.Machine.Attempt)
	}
}

// checkOnce: a oneshot that was started and ended unseen is not started again
// (S26), whatever its record had come to.
func (w *world) checkOnce(live map[string]Live) {
	for s, l := range live {
		was := decodeRecord(w.disk[s]).Machine
		if l.Pid == 0 && l.Command == service.CommandMain && was.State == service.Starting && was.Attempt == l.Attempt &&
			w.shape.def(w.conf, s).Exec.Type == service.Oneshot && w.core.Units[s].Machine.State != service.Up {
			w.bad("%s ran, ended unseen and is %v", s, w.core.Units[s].Machine.State)
		}
	}
}

// checkStopOrder: no service is told to end while one that needs it lives.
func (w *world) checkStopOrder(t string, p *proc, e Effect) {
	if p == nil || !p.alive || p.command == service.CommandPost || e.Kind != EffectTerm {
		return
	}
	if u := w.core.Units[t]; u == nil || u.Machine.Outcome != service.Ordered {
		return
	}
	for s, d := range w.procs {
		if d.alive && d.command != service.CommandPost && slices.Contains(w.shape.needs(s), t) && w.core.Units[s] != nil && w.core.Units[s].Machine.State != service.Stuck {
			w.bad("%s is stopped under %s, which needs it", t, s)
		}
	}
}

// compareShadow: a second core with the same inputs decides the same.
func (w *world) compareShadow(in []Input, effects []Effect) {
	if w.shadow == nil {
		return
	}
	same, _ := w.shadow.Step(w.clock(), in)
	if !reflect.DeepEqual(effects, same) {
		w.bad("the same inputs gave other effects: %s", firstDifference(effects, same))
	}
}

func firstDifference(a, b []Effect) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return "none, and " + b[i].String()
		case i >= len(b):
			return a[i].String() + ", and none"
		case !reflect.DeepEqual(a[i], b[i]):
			was, _ := json.Marshal(a[i])
			now, _ := json.Marshal(b[i])
			return fmt.Sprintf("%s, and %s", was, now)
		}
	}
	return "none"
}

// retries tells whether a service tries for ever what cannot be.
func (w *world) retries(s string) bool {
	if t := w.shape.inner[s]; t != "" {
		u := w.core.Units[s]
		return u != nil && u.Machine.State != service.Up
	}
	return slices.ContainsFunc(w.shape.needs(s), w.retries)
}

// waitsForTwin tells whether a service, or one that it starts after, waits for
// the instance of an old name, which stays.
func (w *world) waitsForTwin(u *Unit) bool {
	twin := w.core.twin(u)
	return twin != nil && twin.want != hold.Down || slices.ContainsFunc(u.after, func(t *Unit) bool { return t.pending && w.waitsForTwin(t) })
}

// checkQuiet: when nothing happens any more, everything is as it is wanted.
func (w *world) checkQuiet() {
	c := w.core
	if len(w.failed) > 0 || !w.alive {
		return
	}
	for _, u := range c.order {
		m := &u.Machine
		if w.retries(u.Name) || w.waitsForTwin(u) {
			continue // after a rename, somebody still holds the instance of the old name, or left it to its end
		}
		needs := !slices.ContainsFunc(u.needs, func(t *Unit) bool { return t.Machine.State != service.Up })
		switch {
		case u.want == hold.Down && m.State != service.Rest:
			w.bad("%s is unwanted and %v", u.Name, m.State)
		case u.want == hold.Keep && m.State != service.Rest && m.State != service.Up:
			w.bad("%s is to be kept and %v", u.Name, m.State)
		case m.State == service.Up && !needs:
			w.bad("%s is up without its needs", u.Name)
		case u.want == hold.Up && needs && m.State != service.Up && !(m.State == service.Rest && u.newest <= u.Latch && (m.Why == service.Failed || m.Why == service.Done)):
			w.bad("%s is wanted and possible and %v (%v, %s)", u.Name, m.State, m.Why, c.obstacle(u).what)
		case u.owes && needs && m.State == service.Rest && c.obstacle(u).kind == "":
			w.bad("%s is owed a run and rests", u.Name)
		case m.State == service.Up && u.want == hold.Up && u.stale():
			w.bad("%s runs an old definition", u.Name)
		}
		p := w.procs[u.Name]
		alive := p != nil && p.alive
		if m.State == service.Rest && (alive || w.left[u.Name] != nil) {
			w.bad("%s rests and has a process", u.Name)
		}
		if m.State == service.Up && u.eff.Exec.Type == service.Daemon && !alive {
			w.bad("%s is up and has no process", u.Name)
		}
	}
	for s, p := range w.procs {
		if p.alive && c.Units[s] == nil {
			w.bad("%s lives and nobody knows it", s)
		}
	}
	for _, wt := range c.Waits {
		if wt.Verb != VerbWait && wt.Verb != VerbRequire && wt.Deadline == 0 {
			w.bad("call %d waits for ever: %+v", wt.ID, wt)
		}
	}
}
