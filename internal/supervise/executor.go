package supervise

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// executor is what is going on for one service. It exists while the service has
// an attempt or orders; its fields are guarded by the supervisor's lock.
type executor struct {
	s        *Supervisor
	name     string
	attempts map[int64]*attempt
	orders   []engine.Effect // Term, Signal, Sweep: in order
	working  bool            // a goroutine carries them out
	endings  int             // goroutines that wait for Empty
	ending   int             // number of the newest of them: it answers for all
}

// attempt is one spawn, from Do until nothing of it is left and that is written.
type attempt struct {
	x       *executor
	tree    Tree
	command service.Command
	spawn   *service.Spawn // nil once it is ready: it is the largest part
	started chan struct{}  // closed when the spawn is answered

	// guarded by the supervisor's lock
	begun   bool // too late to drop it
	dropped bool // its stop came before it began
	killed  bool
	proc    Process // nil: it could not be started
	stopper Process // exec_stop while it runs
	gone    bool    // its end is known
}

func newAttempt(x *executor, number int64, spawn *service.Spawn) *attempt {
	a := &attempt{
		x:       x,
		tree:    Tree{Service: x.name, Attempt: number},
		command: spawn.Command,
		spawn:   spawn,
		started: make(chan struct{}),
	}
	x.attempts[number] = a
	return a
}

func (x *executor) post(e service.Event) {
	x.s.post(engine.Input{Process: &engine.ProcessEvent{Service: x.name, Event: e}})
}

// tidy lets the executor go when nothing is left to do.
func (x *executor) tidy() {
	if len(x.attempts) == 0 && !x.working && x.endings == 0 && len(x.orders) == 0 && x.s.services[x.name] == x {
		delete(x.s.services, x.name)
	}
}

// begin is where a spawn's turn has come. It runs in the lane, which a clone
// must not hold up.
func (a *attempt) begin() {
	s := a.x.s
	s.mu.Lock()
	a.begun = true
	s.mu.Unlock()
	go a.run()
}

var errDropped = errors.New("stopped before it began")

func (a *attempt) run() {
	x, s := a.x, a.x.s
	p, err := a.start()
	s.mu.Lock()
	a.proc, a.gone = p, err != nil
	killed := a.killed
	s.mu.Unlock()
	close(a.started)
	if err != nil {
		a.retire()
		e := service.Event{Kind: service.SpawnError, Attempt: a.tree.Attempt, Error: err.Error()}
		var f *SpawnFailure
		if errors.As(err, &f) {
			e.NoExec = f.NoExec
		}
		x.post(e)
		return
	}
	if killed { // the KILL was too early for this process
		s.signalTree(a.tree, syscall.SIGKILL)
	}
	x.post(service.Event{Kind: service.Spawned, Attempt: a.tree.Attempt, Pid: p.Pid(), Started: p.Started()})
	a.heed(p)
	go a.wait(p) // on a fresh, small stack: this one has grown in the clone
}

func (a *attempt) start() (Process, error) {
	s := a.x.s
	if a.mustDrop() {
		return nil, errDropped
	}
	if err := s.k.MakeTree(a.tree, a.command); err != nil {
		return nil, &SpawnFailure{Text: keyOf(a.command) + ": " + err.Error()}
	}
	if a.mustDrop() {
		return nil, errDropped
	}
	p, err := s.k.Clone(a.tree, Program{Spawn: a.spawn, Key: keyOf(a.command)})
	if err != nil {
		return nil, err
	}
	if err := s.k.Note(a.tree, a.command, p); err != nil {
		s.cfg.Log.Error("pid not noted: a next daemon has to guess it", "service", a.x.name, "err", err)
	}
	return p, nil
}

func (a *attempt) mustDrop() bool {
	a.x.s.mu.Lock()
	defer a.x.s.mu.Unlock()
	return a.dropped || a.killed || a.x.s.closed
}

func keyOf(c service.Command) string {
	return [...]string{"exec_start", "exec_start_pre", "exec_stop_post", "exec_stop"}[c]
}

// wait reports the end of the main process.
func (a *attempt) wait(p Process) {
	x, s := a.x, a.x.s
	exit, ok := p.Wait()
	if !ok {
		return
	}
	p.Close()
	left, err := s.k.TreeState(a.tree)
	if err != nil {
		left = -1
	}
	s.mu.Lock()
	a.gone = true
	s.mu.Unlock()
	x.post(service.Event{Kind: service.Exited, Attempt: a.tree.Attempt, Exit: exit, Left: left})
}

// retire forgets an attempt of which nothing is left. Its end is in a record by
// then: before, the note is all that tells a next daemon that it ran.
func (s *Supervisor) retire(name string, number int64) {
	s.mu.Lock()
	var a *attempt
	if x := s.services[name]; x != nil {
		a = x.attempts[number]
	}
	s.mu.Unlock()
	if a != nil {
		a.retire()
	}
}

// retire forgets an attempt whose main process is gone.
func (a *attempt) retire() {
	x, s := a.x, a.x.s
	s.mu.Lock()
	gone := a.gone
	s.mu.Unlock()
	if !gone {
		return
	}
	s.k.RemoveTree(a.tree) // twice does no harm
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.attempts[a.tree.Attempt] == a {
		delete(x.attempts, a.tree.Attempt)
		x.tidy()
	}
}

// order queues a Term, Signal or Sweep, after the Save that came before it: a
// service that is told to stop by a daemon that dies, and by whose word nobody
// knows, would start again. The lock is held.
func (x *executor) order(e engine.Effect) {
	if a := x.attempts[e.Attempt]; a != nil && e.Kind == engine.EffectTerm && !a.begun {
		a.dropped = true
		return
	}
	x.s.queue(func() {
		x.s.with(x.name, func(x *executor) {
			x.orders = append(x.orders, e)
			if !x.working {
				x.working = true
				go x.work()
			}
		})
	})
}

func (x *executor) work() {
	for {
		x.s.mu.Lock()
		if len(x.orders) == 0 {
			x.working = false
			x.tidy()
			x.s.mu.Unlock()
			return
		}
		e := x.orders[0]
		x.orders = slices.Delete(x.orders, 0, 1)
		a := x.attempts[e.Attempt]
		x.s.mu.Unlock()
		switch {
		case e.Kind == engine.EffectSweep && e.KillAll:
			x.s.mu.Lock()
			x.end(e.Attempt, e.Signal)
			x.s.mu.Unlock()
		case e.Kind == engine.EffectSweep:
			x.leave(e.Attempt)
		case a != nil:
			a.signal(e)
		}
	}
}

// kill overtakes everything that is queued or under way. The lock is held.
func (x *executor) kill(e engine.Effect) {
	number := e.Attempt
	if a := x.attempts[number]; !e.KillAll && a != nil && a.begun {
		a.killMain()
		return
	}
	for n, a := range x.attempts {
		if n <= number {
			a.killed = true
		}
	}
	x.end(number, "KILL")
}

// killMain is KILL where the service asks that the rest of its processes live on
// (kill_mode = "main"). Its end is told by Exited; there is no Empty to wait
// for. The lock is held.
func (a *attempt) killMain() {
	for _, p := range []Process{a.proc, a.stopper} {
		if p != nil {
			p.Signal(syscall.SIGKILL)
		}
	}
}

// end makes sure that the engine hears Empty when nothing lives any more of the
// attempt and of those before it, whose leftovers nobody else would end. The
// newest ending answers for the older ones. The lock is held.
func (x *executor) end(number int64, signal string) {
	x.endings++
	x.ending++
	mine := x.ending
	go func() {
		x.await(mine, number, signal)
		x.s.mu.Lock()
		x.endings--
		x.tidy()
		x.s.mu.Unlock()
	}()
}

// maxPause is how late Empty may be where no event tells: without cgroups, and
// when the cgroup of the last process goes with it.
const maxPause = 250 * time.Millisecond

func (x *executor) await(mine int, number int64, signal string) {
	s := x.s
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		s.mu.Lock()
		var trees []*attempt
		for n, a := range x.attempts {
			if n <= number && a.begun {
				trees = append(trees, a)
			}
		}
		superseded := mine != x.ending || s.closed
		s.mu.Unlock()
		if superseded {
			return
		}
		var populated *attempt
		for _, a := range trees {
			a.end(signal)
			if left, err := s.k.TreeState(a.tree); err != nil || left != 0 {
				populated = a
			} else {
				a.retire()
			}
		}
		if populated == nil {
			x.post(service.Event{Kind: service.Empty, Attempt: number})
			return
		}
		signal = "" // TERM once; whoever was killed is killed again
		s.k.AwaitTree(populated.tree, pause)
	}
}

// end signals what is left of an attempt.
func (a *attempt) end(signal string) {
	s := a.x.s
	s.mu.Lock()
	killed := a.killed
	s.mu.Unlock()
	if killed {
		s.signalTree(a.tree, syscall.SIGKILL)
	} else if sig, ok := signalNumber(signal); ok {
		s.signalTree(a.tree, sig)
		s.signalTree(a.tree, syscall.SIGCONT)
	}
}

// leave is a sweep with kill_mode main: what is left is the service's no more.
func (x *executor) leave(number int64) {
	s := x.s
	s.mu.Lock()
	var trees []*attempt
	for n, a := range x.attempts {
		if n <= number && a.gone {
			trees = append(trees, a)
		}
	}
	s.mu.Unlock()
	for _, a := range trees {
		if left, _ := s.k.TreeState(a.tree); left > 0 {
			s.cfg.Log.Info("left behind, kill_mode is main", "service", x.name, "processes", left)
		}
		a.retire()
	}
	x.post(service.Event{Kind: service.Empty, Attempt: number})
}
