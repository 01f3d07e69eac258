package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/service"
)

// A one-shot under runit says `sv once .` before it reads anything, and whoever
// writes something for it to read says `sv up` afterwards. TestOnceStress mixes
// that at random, with scripts that end too early, words that come too late,
// finish and slow spawns. The naive side is one flag:
//
//	want is set by `up`; it is cleared by `once` of the last run, if that is
//	over only where `up` was not said since. A run begins only while it is set,
//	and while it is set nothing rests for long.
type onceWorld struct {
	t      *testing.T
	r      *rand.Rand
	core   *Core
	now    time.Duration
	wake   time.Duration
	finish bool
	told   []string

	want    bool
	written int // version of what is to be read
	asked   int // the one that was there when `up` was said last
	read    int // the newest that was read

	proc    *onceProc
	orders  []Effect // not carried out yet
	late    []onceLate
	runs    int
	last    int64 // attempt of the last of them
	raised  int   // want went from unset to set
	crashes int   // runs that ended without having said `once`
	calls   int64
}

type onceProc struct {
	attempt int64
	command service.Command
	phase   int // of the script: 0 says once, 1 reads, 2 ends
}

// onceLate is the word of a run that has ended since.
type onceLate struct {
	attempt int64
	ups     int // that were said since
	written int // version at its end, which it could have read
}

func TestOnceStress(t *testing.T) {
	interleavings, steps := 10_000, 40
	if testing.Short() {
		interleavings = 500
	}
	for seed := range uint64(interleavings) {
		w := newOnceWorld(t, seed)
		for range steps {
			w.chance()
		}
		w.drain()
		if t.Failed() {
			t.Fatalf("seed %d:\n%v", seed, w.told)
		}
	}
}

func newOnceWorld(t *testing.T, seed uint64) *onceWorld {
	w := &onceWorld{t: t, r: rand.New(rand.NewPCG(seed, 4)), now: time.Hour, want: true}
	w.finish = w.r.IntN(2) == 0
	def := service.New("fw")
	def.Dialect = service.Runit
	def.Exec.Start = []string{"/sv/fw/run"}
	if w.finish {
		def.Exec.Post = []string{"/sv/fw/finish", "{code}", "{signal}"}
	}
	p := &def.Policy
	p.StartAtBoot, p.BackoffFirst, p.BackoffMax, p.ShutdownTimeout, p.KillMode = true, time.Second, time.Second, service.Never, service.KillMain
	p.Manner = service.Manner{FromStart: true, RetryExec: true}
	w.core = New(Options{}, &config.Config{Services: map[string]*service.Definition{"fw": &def}}, w.clock())
	w.step()
	return w
}

func (w *onceWorld) clock() Now { return Now{Mono: w.now, Wall: time.Unix(0, 0).Add(w.now)} }

func (w *onceWorld) tell(format string, args ...any) {
	w.told = append(w.told, fmt.Sprintf(format, args...)+"\n")
}

func (w *onceWorld) step(in ...Input) {
	effects, wake := w.core.Step(w.clock(), in)
	w.wake = wake
	for _, e := range effects {
		switch e.Kind {
		case EffectSpawn:
			if e.Command == service.CommandMain {
				w.runs, w.last = w.runs+1, e.Attempt
				w.tell("run %d begins", e.Attempt)
				if !w.want {
					w.t.Errorf("run %d begins, and nobody wants it", e.Attempt)
				}
			}
			w.orders = append(w.orders, e)
		case EffectSweep, EffectKill: // of what a run left: nothing
			w.orders = append(w.orders, e)
		case EffectTerm:
			w.t.Errorf("attempt %d is sent %s, and nobody stopped it", e.Attempt, e.Signal)
		}
	}
}

// chance has one thing happen.
func (w *onceWorld) chance() {
	switch w.r.IntN(10) {
	case 0, 1:
		w.written++
		w.tell("version %d is written", w.written)
	case 2, 3:
		w.up()
	case 4:
		w.now += time.Duration(w.r.IntN(1500)) * time.Millisecond
		w.step()
	case 5:
		w.lateWord()
	default:
		w.work(w.r.IntN(8) == 0)
	}
}

func (w *onceWorld) up() {
	w.tell("up, with version %d written", w.written)
	if !w.want {
		w.raised++
	}
	w.want, w.asked = true, w.written
	w.call(VerbStart, 0)
	for i := range w.late {
		w.late[i].ups++
	}
}

func (w *onceWorld) call(verb Verb, attempt int64) {
	w.calls++
	c := &Call{ID: w.calls, Verb: verb, Services: []string{"fw"}, NoWait: true}
	if attempt > 0 {
		c.Peer = Peer{Service: "fw", Attempt: attempt}
	}
	w.step(Input{Call: c})
}

// lateWord is `once` of a run that is over: it starts nothing, and takes nothing
// back that was said since.
func (w *onceWorld) lateWord() {
	if len(w.late) == 0 {
		return
	}
	l := w.late[0]
	w.late = w.late[1:]
	w.tell("once, of run %d which is over", l.attempt)
	if l.ups == 0 && l.attempt == w.last {
		w.want, w.read = false, max(w.read, l.written)
	}
	w.call(VerbOnce, l.attempt)
}

// work carries out an order, or lets the process that is there go on; hasty, it
// ends before it says anything.
func (w *onceWorld) work(hasty bool) {
	if len(w.orders) > 0 {
		e := w.orders[0]
		w.orders = w.orders[1:]
		event := service.Event{Kind: service.Empty, Attempt: e.Attempt}
		if e.Kind == EffectSpawn {
			w.proc = &onceProc{attempt: e.Attempt, command: e.Command}
			event = service.Event{Kind: service.Spawned, Attempt: e.Attempt, Pid: int(e.Attempt), Started: uint64(e.Attempt)}
		}
		w.step(processEvent("fw", event))
		return
	}
	p := w.proc
	if p == nil {
		return
	}
	switch {
	case p.command == service.CommandMain && p.phase == 0 && !hasty:
		w.tell("run %d: once", p.attempt)
		w.want = false
		w.call(VerbOnce, p.attempt)
	case p.command == service.CommandMain && p.phase == 1:
		w.read = w.written
		w.tell("run %d reads version %d", p.attempt, w.read)
	default:
		w.end(p)
		return
	}
	p.phase++
}

func (w *onceWorld) end(p *onceProc) {
	w.proc = nil
	w.tell("%d ends", p.attempt)
	if p.command == service.CommandMain && p.phase == 0 {
		w.crashes++
		if w.r.IntN(2) == 0 {
			w.late = append(w.late, onceLate{attempt: p.attempt, written: w.written})
		}
	}
	w.step(processEvent("fw", service.Event{Kind: service.Exited, Attempt: p.attempt, Exit: service.Exit{Code: w.r.IntN(2)}}))
}

// drain lets all go on until nothing does, and looks what has come of it.
func (w *onceWorld) drain() {
	for range 100 {
		for len(w.orders) > 0 || w.proc != nil {
			w.work(false)
		}
		for len(w.late) > 0 {
			w.lateWord()
		}
		if w.wake == 0 && len(w.orders) == 0 && w.proc == nil {
			break
		}
		w.now = max(w.now, w.wake)
		w.step()
	}
	u := w.core.Units["fw"]
	switch {
	case w.want || w.proc != nil || u.Machine.State != service.Rest:
		w.t.Errorf("it does not come to rest: wanted %v, %v", w.want, u.Machine.State)
	case w.read < w.asked:
		w.t.Errorf("version %d was written, and then `up` was said; no run read more than version %d", w.asked, w.read)
	case w.runs > 1+w.raised+w.crashes:
		w.t.Errorf("%d runs, after %d times that one was asked for and %d that ended too early", w.runs, 1+w.raised, w.crashes)
	}
}
