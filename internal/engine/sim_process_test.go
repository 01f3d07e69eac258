package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// spawn is the kernel's side of a clone.
func (w *world) spawn(s string, e Effect) {
	if !w.benign && w.r.IntN(25) == 0 {
		w.post(processEvent(s, service.Event{Kind: service.SpawnError, Attempt: e.Attempt, NoExec: w.r.IntN(4) == 0, Error: "no"}), w.now+w.delay())
		return
	}
	if p := w.procs[s]; p != nil && p.alive {
		w.bad("two processes of %s at once: %v and %v", s, p.command, e.Command)
	}
	if w.left[s] != nil && (e.Command == service.CommandPre || e.Command == service.CommandMain) {
		w.bad("%s started over leftovers", s)
	}
	w.checkSaved(s, e)
	w.index++
	p := &proc{attempt: e.Attempt, command: e.Command, alive: true, pid: 1000 + w.index}
	w.procs[s] = p
	if e.Command == service.CommandMain {
		w.starts[s]++
	}
	w.t("  clone %s %v attempt %d", s, e.Command, e.Attempt)
	died := w.mayDie()
	if p.noted = !died; p.noted {
		died = w.mayDie()
	}
	if died {
		w.live(s, p)
		return
	}
	p.known = w.now + w.delay()
	w.post(processEvent(s, service.Event{Kind: service.Spawned, Attempt: e.Attempt, Pid: p.pid, Started: uint64(p.pid)}), p.known)
	w.live(s, p)
}

// live decides what a process does with its life.
func (w *world) live(s string, p *proc) {
	d := w.shape.def(w.conf, s)
	if !w.benign {
		p.deaf = w.r.IntN(8) == 0
		if w.r.IntN(30) == 0 {
			p.dstate = w.now + time.Duration(w.r.IntN(60_000))*time.Millisecond
		}
		if w.r.IntN(8) == 0 && p.command == service.CommandMain {
			l := &leftover{attempt: p.attempt}
			if w.r.IntN(10) == 0 {
				l.until = w.now + time.Duration(w.r.IntN(60_000))*time.Millisecond
			}
			w.left[s] = l
		}
	}
	if !w.benign && w.r.IntN(40) == 0 { // says READY whatever it is
		w.after(time.Duration(w.r.IntN(3000))*time.Millisecond, func() { w.sayReady(s, p) })
	}
	ms := func(n int) time.Duration { return time.Duration(w.r.IntN(n)) * time.Millisecond }
	switch {
	case p.command == service.CommandPre && w.shape.inner[s] != "":
		w.requireInside(s, p)
	case p.command != service.CommandMain:
		life := ms(2000)
		if !w.benign && w.r.IntN(12) == 0 {
			life = time.Minute
		}
		ok := w.benign || w.r.IntN(8) > 0
		w.after(life, func() { w.exit(s, p, ok) })
	case d.Exec.Type == service.Oneshot:
		ok := w.benign || w.r.IntN(5) > 0
		life := ms(3000)
		if w.r.IntN(3) == 0 {
			life = ms(50)
		}
		w.after(life, func() { w.exit(s, p, ok) })
	default:
		if d.Exec.Ready == service.ReadyNotify && (w.benign || w.r.IntN(15) > 0) {
			w.after(ms(3000), func() { w.sayReady(s, p) })
		}
		if !w.benign && w.r.IntN(2) == 0 {
			life := ms(30_000)
			if w.r.IntN(3) == 0 {
				life = ms(200)
			}
			ok := w.r.IntN(3) == 0
			w.after(life, func() {
				if !w.benign && p.alive {
					w.crashes++
					w.exit(s, p, ok)
				}
			})
		}
	}
}

func (w *world) sayReady(s string, p *proc) {
	p.said = true
	if w.alive {
		w.post(processEvent(s, service.Event{Kind: service.SaidReady, Attempt: p.attempt}), w.now+w.delay()*4)
	}
}

// requireInside has a pre ask for another service and wait for it.
func (w *world) requireInside(s string, p *proc) {
	w.lastID++
	p.call = w.lastID
	if w.alive {
		w.post(Input{Call: &Call{ID: p.call, Verb: VerbRequire, Services: []string{w.shape.inner[s]}, Timeout: -1,
			Peer: Peer{Service: s, Attempt: p.attempt}}}, w.now)
	}
}

func (w *world) exit(s string, p *proc, ok bool) {
	if !p.alive {
		return
	}
	p.alive = false
	w.t("  exit %s %v attempt %d ok=%v", s, p.command, p.attempt, ok)
	if !w.alive {
		return
	}
	if p.call != 0 {
		w.post(Input{Hangup: p.call}, w.now)
	}
	if w.left[s] == nil && w.r.IntN(4) == 0 { // the tree is seen to be empty before the exit is told
		w.post(processEvent(s, service.Event{Kind: service.Empty, Attempt: p.attempt}), w.now)
	}
	x := service.Exit{}
	if !ok {
		x.Code = 1
	}
	left := 0
	if w.left[s] != nil {
		left = 1
	}
	w.post(processEvent(s, service.Event{Kind: service.Exited, Attempt: p.attempt, Exit: x, Left: left}), max(p.known, w.now+w.delay()))
}

// signal is TERM to the main process, or KILL to all that an attempt has.
func (w *world) signal(s string, e Effect) {
	w.signals++
	p := w.procs[s]
	w.checkStopOrder(s, p, e)
	if p != nil && p.alive && p.attempt == e.Attempt {
		switch {
		case e.Kind == EffectTerm && p.deaf && !w.benign:
		case e.Kind == EffectKill && p.dstate > w.now && !w.benign:
			w.after(p.dstate-w.now, func() { w.exit(s, p, false) })
		default:
			ok := w.r.IntN(2) == 0
			w.after(w.delay(), func() { w.exit(s, p, ok) })
		}
	}
	if e.Kind == EffectKill {
		w.retire(s, e.Attempt)
		w.clear(s, e.Attempt)
		if w.left[s] == nil && (p == nil || !p.alive) {
			w.post(processEvent(s, service.Event{Kind: service.Empty, Attempt: e.Attempt}), w.now)
		}
	}
}

// sweep ends what a run left behind, unless it is deaf, and answers when
// nothing is left.
func (w *world) sweep(s string, e Effect) {
	w.retire(s, e.Attempt)
	if w.left[s] == nil {
		w.post(processEvent(s, service.Event{Kind: service.Empty, Attempt: e.Attempt}), w.now+w.delay())
		return
	}
	if w.benign {
		w.left[s].until = 0
	}
	if w.benign || w.r.IntN(3) > 0 {
		w.clear(s, e.Attempt)
	}
}

// retire drops the note of a process that has ended.
func (w *world) retire(s string, attempt int64) {
	if p := w.procs[s]; p != nil && !p.alive && p.attempt <= attempt {
		p.noted = false
	}
}

func (w *world) clear(s string, attempt int64) {
	l := w.left[s]
	if l == nil {
		return
	}
	w.after(max(w.delay(), l.until-w.now), func() {
		if w.left[s] != l {
			return
		}
		delete(w.left, s)
		if p := w.procs[s]; w.alive && (p == nil || !p.alive) {
			w.post(processEvent(s, service.Event{Kind: service.Empty, Attempt: attempt}), w.now)
		}
	})
}

// replied is a caller's side of an answer.
func (w *world) replied(r *Reply) {
	w.t("reply %d %d %s", r.ID, r.Code, r.Error)
	for _, s := range sortedKeys(w.procs) {
		if p := w.procs[s]; p.alive && p.call == r.ID && !r.More {
			ok := r.Code == CodeYes
			w.after(w.delay(), func() { w.exit(s, p, ok) })
			return
		}
	}
	call := w.calls[r.ID]
	if call == nil || r.More {
		return
	}
	delete(w.calls, r.ID)
	w.checkPromise(call, r)
}

// checkPromise holds the daemon to its word: what was answered is on disk.
func (w *world) checkPromise(call *Call, r *Reply) {
	for _, s := range call.Services {
		rec := decodeRecord(w.disk[s])
		h, _ := rec.holder(call.holder())
		held := h.Count > h.Asked
		switch {
		case call.Verb == VerbRequire && r.Code == CodeYes && !held && w.naive.persons[s][call.holder()] > 0:
			w.bad("%s: required by %s and answered, but not on disk", s, call.holder())
		case call.Verb == VerbRequire && r.Code != CodeYes && held && w.naive.persons[s][call.holder()] == 0:
			w.bad("%s: the require of %s failed and left a hold", s, call.holder())
		case call.Verb == VerbBlock && rec.Cap.Kind != hold.CapBlock && w.naive.caps[s] == hold.CapBlock:
			w.bad("%s: blocked and answered, but not on disk", s)
		}
	}
}

func describeInput(in *Input) string {
	switch {
	case in.Process != nil:
		return fmt.Sprintf("%s attempt %d %v %v", in.Process.Service, in.Process.Attempt, in.Process.Kind, in.Process.Exit)
	case in.Call != nil:
		return fmt.Sprintf("call %d %s %v as %q from %q", in.Call.ID, in.Call.Verb, in.Call.Services, in.Call.As, in.Call.Peer.Service)
	case in.Report != nil:
		return fmt.Sprintf("report %s %s %+v", in.Report.Status.Name, in.Report.Status.State, in.Report.Batch)
	case in.Hangup != 0:
		return fmt.Sprintf("hangup %d", in.Hangup)
	case in.Gone != nil:
		return fmt.Sprintf("gone %v", *in.Gone)
	case in.Config != nil:
		return "config"
	}
	return "wake"
}

func describeEffect(e *Effect) string {
	names := []string{"save", "forget", "global", "spawn", "term", "kill", "sweep", "retire", "signal", "reply", "link-up", "interest", "watch", "log"}
	s := names[e.Kind] + " " + e.Service
	if e.Attempt > 0 {
		s += fmt.Sprintf(" %v attempt %d", e.Command, e.Attempt)
	}
	if e.Reply != nil {
		s += fmt.Sprintf(" %d: code %d %s", e.Reply.ID, e.Reply.Code, e.Reply.Error)
	}
	return s
}
