package engine

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// world is everything around the core, under one seed: a kernel whose links
// come, flap, are renamed and go; sources that lose messages and list again;
// processes that crash, ignore TERM, hang in D state and leave children behind;
// executors that are slow; people; clients that die; and a daemon that dies
// between any two effects and is born again from what is on disk.
type world struct {
	r     *rand.Rand
	now   time.Duration
	queue events
	seq   int
	opt   Options
	conf  *config.Config
	shape *shape

	core    *Core
	naive   *naive
	shadow  *Core // fed the same inputs: it must decide the same
	alive   bool
	epoch   int // of the daemon: what was under way for an earlier one is void
	inbox   []Input
	benign  bool // processes behave and nothing is lost
	crashy  bool // the daemon may die at any effect
	wakeAt  time.Duration
	starts  map[string]int // of main processes
	signals int

	disk    map[string][]byte
	global  []byte
	backlog map[string][]Effect // by service: what its executor has to do
	busy    map[string]bool
	hung    map[string]bool // in a clone that does not return
	replies []Effect        // wait for the saves before them

	procs map[string]*proc
	left  map[string]*leftover
	links []*link
	mount bool
	index int // the newest ifindex
	lossy map[string]bool

	calls   map[int64]*Call
	lastID  int64
	clients map[Client]bool

	steps, deaths, crashes int64
	failed                 []string
	trace                  func(format string, args ...any)
}

type proc struct {
	attempt   int64
	command   service.Command
	alive     bool
	deaf      bool          // ignores TERM
	dstate    time.Duration // KILL has no effect before
	said      bool          // READY
	noted     bool          // its note is on disk
	known     time.Duration // when Spawned is posted: Exited comes after it
	pid       int
	call      int64 // the require that its pre waits for
	unhearing bool  // its READY may have been lost with a daemon
}

type leftover struct {
	attempt int64
	until   time.Duration // D state
}

type link struct {
	index   int
	name    string
	present bool
	running bool
	flaps   uint32
}

type event struct {
	at time.Duration
	n  int
	do func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

// delay is how late a report or an effect is: mostly soon, sometimes not.
func (w *world) delay() time.Duration {
	if w.r.IntN(4) > 0 {
		return time.Duration(w.r.IntN(3)) * time.Millisecond
	}
	return time.Duration(w.r.IntN(1500)) * time.Millisecond
}

func (w *world) bad(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf("%8.3fs ", w.now.Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) t(format string, args ...any) {
	if w.trace != nil {
		w.trace("%8.3fs "+format, append([]any{w.now.Seconds()}, args...)...)
	}
}

// run lets time pass until then. It reports a livelock.
func (w *world) run(until time.Duration) bool {
	for n := 0; len(w.queue) > 0 && w.queue[0].at <= until; n++ {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
		if n > 200_000 {
			w.bad("livelock")
			return false
		}
		if len(w.failed) > 0 {
			return false
		}
	}
	w.now = until
	return true
}

// mine runs do unless the daemon has died meanwhile.
func (w *world) mine(do func()) func() {
	epoch := w.epoch
	return func() {
		if epoch == w.epoch && w.alive {
			do()
		}
	}
}

// post puts inputs in this daemon's inbox, which is read at once or later.
func (w *world) post(in Input, at time.Duration) {
	w.after(max(0, at-w.now), w.mine(func() {
		w.inbox = append(w.inbox, in)
		if w.r.IntN(3) > 0 {
			w.step()
		} else {
			w.after(time.Millisecond, w.mine(w.step))
		}
	}))
}

func (w *world) clock() Now { return Now{Mono: w.now, Wall: time.Unix(0, 0).UTC().Add(w.now)} }

// step is what Run does: one Step, and its effects to the executors.
func (w *world) step() {
	var err error
	in := w.inbox
	w.inbox = nil
	w.steps++
	for i := range in {
		w.naive.take(w.now, &in[i])
		w.t("in   %s", describeInput(&in[i]))
	}
	w.naive.tick(w.now)
	if w.r.IntN(400) == 0 && !w.core.replan && !w.core.relink { // the shadow is a core that goes on from a snapshot
		if w.shadow, err = Resume(w.opt, w.core.conf, w.core.Snapshot(), w.clock()); err != nil {
			w.bad("%v", err)
		}
		all, err := foresee(w.core, w.core.conf)
		if err != nil || len(all) > 0 {
			w.bad("the configuration in force would do %v %v", all, err)
		}
	}
	effects, wake := w.core.Step(w.clock(), in)
	w.compareShadow(in, effects)
	w.naive.onceOver(w) // a stop waits for what held the service then, also for a caller that it turns away
	w.naive.replied(effects)
	w.naive.compare(w)
	w.checkStarts(effects)
	for _, e := range effects {
		if e.Kind != EffectLog && e.Kind != EffectSave {
			w.t("  fx %s", describeEffect(&e))
		}
		switch e.Kind {
		case EffectReply:
			w.replies = append(w.replies, e)
			w.after(w.delay(), w.mine(w.answer))
		case EffectLog:
			w.t("  log %s", e.Text)
		case EffectInterest, EffectLinkUp:
		case EffectWatch:
			if !w.clients[*e.Client] {
				w.post(Input{Gone: e.Client}, w.now+w.delay())
			}
		default:
			w.enqueue(e)
		}
	}
	if wake > 0 {
		w.wakeAt = wake
		w.after(max(0, wake-w.now), w.mine(func() {
			if w.wakeAt == wake {
				w.step()
			}
		}))
	}
}

// enqueue gives an effect to its service's executor; Kill overtakes, and a
// spawn that it finds not begun is dropped.
func (w *world) enqueue(e Effect) {
	s := e.Service
	if e.Kind == EffectKill && w.hung[s] { // overtakes the clone, and finds nothing yet
		w.after(w.delay(), w.mine(func() { w.signal(s, e) }))
		return
	}
	if e.Kind == EffectKill {
		at := slices.IndexFunc(w.backlog[s], func(q Effect) bool { return q.Kind == EffectSpawn })
		if at >= 0 && w.r.IntN(2) == 0 {
			dropped := w.backlog[s][at]
			w.backlog[s] = slices.Delete(w.backlog[s], at, at+1)
			w.post(processEvent(s, service.Event{Kind: service.SpawnError, Attempt: dropped.Attempt, Error: "dropped"}), w.now)
		}
		w.backlog[s] = slices.Insert(w.backlog[s], 0, e)
	} else {
		w.backlog[s] = append(w.backlog[s], e)
	}
	w.pump(s)
}

func (w *world) pump(s string) {
	if w.busy[s] || !w.alive {
		return
	}
	w.busy[s] = true
	w.after(w.delay(), w.mine(func() { w.execute(s) }))
}

// answer delivers the replies whose saves are done.
func (w *world) answer() {
	saving := slices.ContainsFunc(sortedKeys(w.backlog), func(s string) bool {
		return slices.ContainsFunc(w.backlog[s], func(e Effect) bool { return e.Kind == EffectSave || e.Kind == EffectForget || e.Kind == EffectGlobal })
	})
	if saving { // later ones may be among them: that only delays
		w.after(5*time.Millisecond, w.mine(w.answer))
		return
	}
	replies := w.replies
	w.replies = nil
	for _, e := range replies {
		w.replied(e.Reply)
	}
}

func processEvent(s string, e service.Event) Input {
	return Input{Process: &ProcessEvent{Service: s, Event: e}}
}

// execute does the first thing in an executor's queue, unless the daemon dies.
func (w *world) execute(s string) {
	if w.mayDie() {
		return
	}
	w.busy[s] = false
	if len(w.backlog[s]) == 0 {
		return
	}
	e := w.backlog[s][0]
	if e.Kind == EffectSpawn && !w.benign && w.r.IntN(120) == 0 { // clone or exec hangs
		w.backlog[s] = w.backlog[s][1:]
		w.busy[s], w.hung[s] = true, true
		w.after(time.Duration(w.r.IntN(50_000))*time.Millisecond, w.mine(func() {
			w.busy[s], w.hung[s] = false, false
			w.spawn(s, e)
			w.pump(s)
		}))
		return
	}
	w.backlog[s] = w.backlog[s][1:]
	if len(w.backlog[s]) > 0 {
		defer w.pump(s)
	}
	switch e.Kind {
	case EffectSave:
		w.disk[s] = e.Record
	case EffectForget:
		delete(w.disk, s)
	case EffectGlobal:
		w.global = e.Record
	case EffectSpawn:
		w.spawn(s, e)
	case EffectTerm, EffectKill:
		w.signal(s, e)
	case EffectSweep:
		w.sweep(s, e)
	case EffectRetire:
		w.retire(s, e.Attempt)
	}
}

func (w *world) mayDie() bool {
	if w.crashy && w.r.IntN(80) == 0 {
		w.die()
		return true
	}
	return false
}

func (w *world) die() {
	w.t("the daemon dies")
	w.deaths++
	w.alive = false
	w.epoch++
	w.inbox, w.replies = nil, nil
	w.backlog, w.busy, w.hung = map[string][]Effect{}, map[string]bool{}, map[string]bool{}
	w.after(time.Duration(w.r.IntN(400))*time.Millisecond, w.birth)
}

// birth starts a daemon from what is on disk and what lives.
func (w *world) birth() {
	w.t("a daemon is born")
	w.alive = true
	w.epoch++
	w.wakeAt = 0
	w.lossy = map[string]bool{}
	live := map[string]Live{}
	for s, p := range w.procs {
		if p.alive {
			p.unhearing = true
			live[s] = Live{Attempt: p.attempt, Command: p.command, Pid: p.pid, Started: uint64(p.pid)}
		} else if p.noted {
			live[s] = Live{Attempt: p.attempt, Command: p.command, Left: w.left[s] != nil}
		} else if w.left[s] != nil {
			live[s] = Live{Attempt: w.left[s].attempt, Left: true}
		}
	}
	w.core = New(w.opt, w.conf, w.clock())
	w.core.Restore(w.disk, w.global, live)
	w.checkOnce(live)
	w.shadow = nil
	if w.r.IntN(4) == 0 {
		w.shadow = New(w.opt, w.conf, w.clock())
		w.shadow.Restore(w.disk, w.global, live)
	}
	w.naive = newNaive(w.shape, w.conf, w.disk, w.global)
	for _, s := range sortedKeys(w.procs) { // whoever waits in a pre asks again
		if p := w.procs[s]; p.alive && p.call != 0 {
			w.requireInside(s, p)
		}
	}
	w.calls = map[int64]*Call{}
	w.after(time.Duration(w.r.IntN(300))*time.Millisecond, w.mine(func() { w.list("link", false) }))
	w.after(time.Duration(w.r.IntN(300))*time.Millisecond, w.mine(func() { w.list("mount", false) }))
	w.step()
}

// list posts a source's full list.
func (w *world) list(source string, lost bool) {
	status := object.SourceStatus{Name: source, State: object.Synced}
	b := &object.Batch{Kinds: []object.Kind{object.Kind(source)}, Full: true}
	if source == "link" {
		for _, l := range w.links {
			if l.present {
				b.Put = append(b.Put, l.object())
			}
		}
	} else if w.mount {
		b.Put = append(b.Put, mountObject())
	}
	w.lossy[source] = false
	w.inbox = append(w.inbox, Input{Report: &object.Report{Status: status, Batch: b}})
	w.step()
}

func mountObject() object.Object {
	return object.Object{Life: object.Life{Key: object.Key{Kind: object.Mount, ID: "/data"}, Incarnation: 1},
		Words: object.Words{"target": {"/data"}}, Cause: "mountinfo"}
}

func (l *link) object() object.Object {
	return object.Object{
		Life: object.Life{Key: object.LinkKey(l.index), Incarnation: uint64(l.index), Flaps: l.flaps},
		Words: object.Words{"name": {l.name}, "type": {"ether"}, "running": object.Bool(l.running), "up": {"true"},
			"physical": {"true"}, "foreign": {"false"}},
		Cause: "rtnetlink newlink",
	}
}

// tell posts one delta of a source, in order, unless it is lost: then the
// source lists again later.
func (w *world) tell(source string, b object.Batch) {
	if !w.alive || w.core.Sources[source].State == object.Starting && !w.lossy[source] && w.r.IntN(2) == 0 {
		return // not subscribed yet: the list will have it
	}
	if w.lossy[source] {
		return // the list will have it
	}
	if !w.benign && w.r.IntN(8) == 0 {
		w.lossy[source] = true
		w.inbox = append(w.inbox, Input{Report: &object.Report{Status: object.SourceStatus{Name: source, State: object.Resyncing}}})
		w.step()
		w.after(time.Duration(w.r.IntN(3000))*time.Millisecond, w.mine(func() { w.list(source, true) }))
		return
	}
	state := w.core.Sources[source].State
	w.inbox = append(w.inbox, Input{Report: &object.Report{Status: object.SourceStatus{Name: source, State: state}, Batch: &b}})
	w.step()
}
