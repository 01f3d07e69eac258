package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// Config is what a Supervisor needs to know.
type Config struct {
	RunDir     string             // records, notes, notify socket
	LogDir     string             // output of the services
	CgroupRoot string             // where nothing runs yet: "": find one; "none": use none; else the cgroup to work under
	Post       func(engine.Input) // called from goroutines of the supervisor; may block
	Reply      func(engine.Reply) // called after every earlier Save; must not block
	Log        *slog.Logger       // nil: slog.Default
	Kernel     Kernel             // nil: Linux
}

// Supervisor carries out effects.
type Supervisor struct {
	cfg  Config
	k    Kernel
	host *linux        // k, where it is the real one
	done chan struct{} // closed by Close: nothing is posted any more

	mu       sync.Mutex
	closed   bool
	services map[string]*executor
	lane     []func() // all but kills, in the order of Do
	laneBusy bool
	retiring sync.WaitGroup
	watched  map[engine.Client]*process
	unsaved  int   // records that could not be written
	saveErr  error // the last reason
}

// New makes a supervisor. On Linux it owns the run directory from here on (see
// Lock). It sets the umask of the whole process to 022, which is what services
// get, and every open descriptor to close on exec.
func New(cfg Config) (*Supervisor, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Supervisor{
		cfg:      cfg,
		k:        cfg.Kernel,
		done:     make(chan struct{}),
		services: make(map[string]*executor),
		watched:  make(map[engine.Client]*process),
	}
	if s.k == nil {
		host, err := newLinux(cfg, s.saidReady)
		if err != nil {
			return nil, fmt.Errorf("supervise: %w", err)
		}
		s.k, s.host = host, host
	}
	return s, nil
}

// Do begins to carry out one effect and returns at once. Effects of kinds that
// are no business of this room are ignored.
func (s *Supervisor) Do(e engine.Effect) {
	switch e.Kind {
	case engine.EffectSave:
		s.After(func() { s.save("svc/"+service.FileName(e.Service), e.Record) })
	case engine.EffectForget:
		s.After(func() { s.save("svc/"+service.FileName(e.Service), nil) })
	case engine.EffectGlobal:
		s.After(func() { s.save("global", e.Record) })
	case engine.EffectReply:
		s.After(func() { s.cfg.Reply(*e.Reply) })
	case engine.EffectSpawn:
		s.with(e.Service, func(x *executor) {
			a := newAttempt(x, e.Attempt, e.Spawn)
			s.queue(a.begin) // after the Save that came before it
		})
	case engine.EffectTerm, engine.EffectSignal, engine.EffectSweep:
		s.with(e.Service, func(x *executor) { x.order(e) })
	case engine.EffectRetire:
		s.After(func() { s.retiring.Go(func() { s.retire(e.Service, e.Attempt) }) }) // a cgroup may take its time to go
	case engine.EffectKill:
		s.with(e.Service, func(x *executor) { x.kill(e) })
	case engine.EffectWatch:
		s.watch(*e.Client)
	}
}

// with runs fn on a service's executor under the lock.
func (s *Supervisor) with(name string, fn func(*executor)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	x := s.services[name]
	if x == nil {
		x = &executor{s: s, name: name, attempts: make(map[int64]*attempt)}
		s.services[name] = x
	}
	fn(x)
}

// After runs fn, on a goroutine of the supervisor, when every Save that Do was
// given before is done. fn must not block: it holds up all later saves.
func (s *Supervisor) After(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.queue(fn)
	}
}

// queue appends to the lane. One lane for all services is simplest: a reply may
// follow saves of several of them, and a save to a tmpfs takes 40 µs.
func (s *Supervisor) queue(fn func()) {
	s.lane = append(s.lane, fn)
	if !s.laneBusy {
		s.laneBusy = true
		go s.runLane()
	}
}

func (s *Supervisor) runLane() {
	for {
		s.mu.Lock()
		batch := s.lane
		s.lane = nil
		s.laneBusy = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, fn := range batch {
			fn()
		}
	}
}

// save never holds anything up: a full tmpfs must not keep services down.
func (s *Supervisor) save(name string, record []byte) {
	err := s.k.Save(name, record)
	if err == nil {
		return
	}
	s.mu.Lock()
	first := s.unsaved == 0
	s.unsaved++
	s.saveErr = err
	s.mu.Unlock()
	if first {
		s.cfg.Log.Error("record not written: a next daemon will not know it", "record", name, "err", err)
	}
}

// Degraded says in one line each what cannot be promised on this system.
func (s *Supervisor) Degraded() []string {
	var lines []string
	if s.host != nil {
		lines = s.host.degraded()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved > 0 {
		lines = append(lines, fmt.Sprintf("%d records could not be written, a next daemon will not know them: %v", s.unsaved, s.saveErr))
	}
	return lines
}

// Load reads what an earlier daemon left: the records by service, the core's
// own record, and what still runs. To be called before the first Do.
func (s *Supervisor) Load() (records map[string][]byte, global []byte, live []Live, err error) {
	l, err := s.k.Load()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("supervise: %w", err)
	}
	for _, line := range l.Damaged {
		s.cfg.Log.Warn(line)
	}
	return l.Records, l.Global, l.Live, nil
}

// ServiceOf tells which service's attempt a process belongs to.
func (s *Supervisor) ServiceOf(pid int) (name string, attempt int64, ok bool) {
	if s.host == nil || pid <= 0 {
		return "", 0, false
	}
	t, ok := s.host.trees.whose(pid)
	return t.Service, t.Attempt, ok
}

// KeepLogs has the logs that go to files kept as of says from now on, which does
// not know all services.
func (s *Supervisor) KeepLogs(of func(name string) (service.LogFile, bool)) {
	if s.host != nil {
		s.host.outputs.keep(of)
	}
}

// post tells the engine. Nobody listens after Close.
func (s *Supervisor) post(in engine.Input) {
	select {
	case <-s.done:
	default:
		s.cfg.Post(in)
	}
}

// saidReady passes on what a process of a tree said on the notify socket.
func (s *Supervisor) saidReady(t Tree) {
	s.mu.Lock()
	x := s.services[t.Service]
	known := x != nil && x.attempts[t.Attempt] != nil
	s.mu.Unlock()
	if known {
		x.post(service.Event{Kind: service.SaidReady, Attempt: t.Attempt})
	}
}

// Outputs opens what services write to, for an image of this process that goes
// on: what a service says and then ends before that one reads is not lost.
func (s *Supervisor) Outputs() []*os.File {
	if s.host == nil {
		return nil
	}
	return s.host.outputs.opened()
}

// Close ends the supervisor when everything that was queued is written. With
// leave the processes live on for a next daemon; without, those that are still
// there are killed.
func (s *Supervisor) Close(leave bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	written := make(chan struct{})
	s.queue(func() { close(written) })
	s.closed = true
	s.mu.Unlock()
	<-written
	close(s.done)
	patience, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	retired := make(chan struct{})
	go func() {
		s.retiring.Wait()
		close(retired)
	}()
	select {
	case <-retired:
	case <-patience.Done():
	}

	s.mu.Lock()
	var all []*attempt
	for _, x := range s.services {
		for _, a := range x.attempts {
			a.killed = a.killed || !leave
			all = append(all, a)
		}
	}
	for _, p := range s.watched {
		if p != nil {
			p.Close()
		}
	}
	s.mu.Unlock()
	for _, a := range all { // what is being cloned is to be noted
		select {
		case <-a.started:
		case <-patience.Done():
		}
	}
	if leave {
		s.letGo(all)
	} else {
		s.killAll(all)
	}
	if s.host != nil {
		s.host.close(leave)
	}
}

const closePatience = 2 * time.Second

func (s *Supervisor) letGo(all []*attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all {
		if a.proc != nil {
			a.proc.Close()
		}
	}
}

func (s *Supervisor) killAll(all []*attempt) {
	deadline := time.Now().Add(closePatience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		all = slices.DeleteFunc(all, func(a *attempt) bool {
			s.signalTree(a.tree, syscall.SIGKILL)
			left, err := s.k.TreeState(a.tree)
			if err != nil || left != 0 {
				return false
			}
			s.k.RemoveTree(a.tree)
			return true
		})
		if len(all) == 0 || time.Now().After(deadline) {
			return
		}
		s.k.AwaitTree(all[0].tree, pause)
	}
}

func (s *Supervisor) signalTree(t Tree, sig syscall.Signal) {
	if err := s.k.SignalTree(t, sig); err != nil {
		s.cfg.Log.Error("signal not delivered", "service", t.Service, "signal", sig, "err", err)
	}
}
