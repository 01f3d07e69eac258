package supervise

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// fake is a kernel whose clones hang and whose processes will not die, on
// demand. It keeps a log of the calls.
type fake struct {
	mu       sync.Mutex
	log      []string
	cloneErr error
	hang     chan struct{} // clones of hangKey wait for it
	hangKey  string
	unkilled bool // D state: KILL has no effect
	findErr  error
	trees    map[Tree][]*fakeProcess
}

type fakeProcess struct {
	k     *fake
	ended chan service.Exit
	let   chan struct{}
	dead  bool
}

func (f *fake) say(text string) {
	f.mu.Lock()
	f.log = append(f.log, text)
	f.mu.Unlock()
}

func (f *fake) MakeTree(t Tree, _ service.Command) error { f.say("make"); return nil }

func (f *fake) Clone(t Tree, p Program) (Process, error) {
	f.say("clone " + p.Key)
	if p.Key == f.hangKey {
		<-f.hang
	}
	if f.cloneErr != nil {
		return nil, f.cloneErr
	}
	p2 := &fakeProcess{k: f, ended: make(chan service.Exit, 1), let: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trees == nil {
		f.trees = make(map[Tree][]*fakeProcess)
	}
	f.trees[t] = append(f.trees[t], p2)
	return p2, nil
}

func (f *fake) Note(Tree, service.Command, Process) error { f.say("note"); return nil }

func (f *fake) Find(Tree, int, uint64) (Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return nil, f.findErr
}

func (f *fake) SignalTree(t Tree, sig syscall.Signal) error {
	f.say("signal tree " + signalName(sig))
	f.mu.Lock()
	defer f.mu.Unlock()
	if sig != syscall.SIGKILL || f.unkilled {
		return nil
	}
	for _, p := range f.trees[t] {
		p.end(service.Exit{Signal: "KILL"})
	}
	return nil
}

func (f *fake) TreeState(t Tree) (n int, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.trees[t] {
		if !p.dead {
			n++
		}
	}
	return n, nil
}

func (f *fake) AwaitTree(_ Tree, d time.Duration) { time.Sleep(d) }
func (f *fake) RemoveTree(Tree)                   { f.say("remove") }

func (f *fake) Save(name string, record []byte) error {
	f.say("save " + name)
	return nil
}

func (f *fake) Load() (Loaded, error) { return Loaded{}, nil }

func (p *fakeProcess) end(x service.Exit) {
	if !p.dead {
		p.dead = true
		p.ended <- x
	}
}

func (p *fakeProcess) Pid() int        { return 42 }
func (p *fakeProcess) Started() uint64 { return 1 }
func (p *fakeProcess) HasReady() bool  { return false }
func (p *fakeProcess) Ready() bool     { return false }
func (p *fakeProcess) Close()          {}

func (p *fakeProcess) Signal(sig syscall.Signal) error {
	p.k.say("signal " + signalName(sig))
	if sig == syscall.SIGKILL {
		p.k.mu.Lock()
		defer p.k.mu.Unlock()
		p.end(service.Exit{Signal: "KILL"})
	}
	return nil
}

func (p *fakeProcess) Wait() (service.Exit, bool) {
	select {
	case x := <-p.ended:
		return x, true
	case <-p.let:
		return service.Exit{}, false
	}
}

// inFake runs a test on a fake kernel in fake time.
func inFake(t *testing.T, fn func(k *fake, s *Supervisor, told func() []engine.Input)) {
	synctest.Test(t, func(t *testing.T) {
		k := &fake{}
		var mu sync.Mutex
		var inputs []engine.Input
		note := func(in engine.Input) {
			mu.Lock()
			inputs = append(inputs, in)
			mu.Unlock()
		}
		s, err := New(Config{Kernel: k, Post: note, Reply: func(r engine.Reply) { k.say("reply") }})
		if err != nil {
			t.Fatal(err)
		}
		fn(k, s, func() []engine.Input {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(inputs)
		})
		k.mu.Lock()
		k.unkilled = false
		k.mu.Unlock()
		s.Close(false)
	})
}

func kinds(inputs []engine.Input) (all []service.EventKind) {
	for _, in := range inputs {
		all = append(all, in.Process.Kind)
	}
	return all
}

func effect(kind engine.EffectKind, attempt int64) engine.Effect {
	e := engine.Effect{Kind: kind, Service: "a", Attempt: attempt, Signal: "TERM", KillAll: true}
	if kind == engine.EffectSpawn {
		e.Spawn = spawnOf("a", attempt, "x")
	}
	return e
}

func TestSpawnAndReplyFollowTheSave(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
		s.Do(effect(engine.EffectSpawn, 1))
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "b", Record: []byte("{}")})
		s.Do(engine.Effect{Kind: engine.EffectReply, Reply: &engine.Reply{}})
		s.Do(engine.Effect{Kind: engine.EffectGlobal, Record: []byte("{}")})
		told()
		at := func(what string) int { return slices.Index(k.log, what) }
		if !(0 <= at("save svc/a") && at("save svc/a") < at("make") && at("make") < at("clone exec_start") && at("clone exec_start") < at("note")) {
			t.Errorf("order %q", k.log)
		}
		if !(0 <= at("save svc/b") && at("save svc/b") < at("reply") && at("reply") < at("save global")) {
			t.Errorf("order %q", k.log)
		}
	})
}

// A stop that the next daemon would not know of must not begin; a KILL cannot wait.
func TestTermFollowsTheSave(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		s.Do(effect(engine.EffectSpawn, 1))
		told()
		hold := make(chan struct{})
		s.After(func() { <-hold })
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
		s.Do(effect(engine.EffectTerm, 1))
		told()
		if slices.Contains(k.log, "signal TERM") {
			t.Errorf("TERM before the record: %q", k.log)
		}
		s.Do(effect(engine.EffectKill, 1))
		if got := kinds(told()); !slices.Contains(got, service.Exited) {
			t.Errorf("told %v: the KILL waits", got)
		}
		close(hold)
		told()
	})
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		s.Do(effect(engine.EffectSpawn, 1))
		told()
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
		s.Do(effect(engine.EffectTerm, 1))
		told()
		if save, term := slices.Index(k.log, "save svc/a"), slices.Index(k.log, "signal TERM"); save < 0 || term < save {
			t.Errorf("calls %q", k.log)
		}
	})
}

func TestSpawnNotYetBegunIsDropped(t *testing.T) {
	for _, stop := range []engine.EffectKind{engine.EffectTerm, engine.EffectKill} {
		inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
			hold := make(chan struct{})
			s.After(func() { <-hold })
			s.Do(effect(engine.EffectSpawn, 1))
			s.Do(effect(stop, 1))
			told()
			close(hold)
			got := kinds(told())
			if !slices.Contains(got, service.SpawnError) || slices.Contains(got, service.Spawned) {
				t.Errorf("told %v, want a spawn error", got)
			}
			if want := stop == engine.EffectKill; slices.Contains(got, service.Empty) != want {
				t.Errorf("told %v; Kill and only Kill is answered Empty", got)
			}
			if slices.Contains(k.log, "clone exec_start") {
				t.Error("it was cloned")
			}
		})
	}
}

// A hung clone holds up neither the caller, nor records, nor the KILL.
func TestKillOvertakesAHungClone(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		k.hang, k.hangKey = make(chan struct{}), "exec_start"
		s.Do(effect(engine.EffectSpawn, 1))
		told()
		s.Do(effect(engine.EffectSignal, 1))
		s.Do(effect(engine.EffectKill, 1))
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
		if got := kinds(told()); !slices.Equal(got, []service.EventKind{service.Empty}) {
			t.Errorf("told %v, want Empty while the clone hangs", got)
		}
		if !slices.Contains(k.log, "signal tree KILL") || !slices.Contains(k.log, "save svc/a") {
			t.Errorf("calls %q", k.log)
		}
		close(k.hang)
		if got := kinds(told()); !slices.Equal(got[1:], []service.EventKind{service.Spawned, service.Exited}) {
			t.Errorf("told %v: the process that came after its KILL must get another", got)
		}
	})
}

// Two programs on a dead file server: an upgrade, or a second TERM, comes to an
// end all the same.
func TestDaemonEndsWhileSeveralStartsHang(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		k.hang, k.hangKey, k.cloneErr = make(chan struct{}), "exec_start", &SpawnFailure{Text: "the server is back, without it"}
		for n := range int64(3) {
			s.Do(effect(engine.EffectSpawn, n+1))
		}
		told()
		s.Close(true)
		close(k.hang)
		told()
	})
}

// What runs in a service's tree beside its main process is not missed either.
func TestKillOvertakesAHungCheck(t *testing.T) {
	for _, key := range []string{"check", "exec_stop"} {
		inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
			k.hang, k.hangKey = make(chan struct{}), key
			start, stop := effect(engine.EffectSpawn, 1), effect(engine.EffectTerm, 1)
			start.Spawn.Ready, start.Spawn.Check = service.ReadyCheck, []string{"x"}
			stop.Spawn = spawnOf("a", 1, "y")
			s.Do(start)
			told()
			s.Do(stop)
			s.Do(effect(engine.EffectKill, 1))
			told()
			close(k.hang)
			told()
			if n, _ := k.TreeState(Tree{"a", 1}); n != 0 {
				t.Errorf("%s came after the KILL and lives", key)
			}
		})
	}
}

// D state: no Empty until it is so, and every later Kill is tried and answered.
func TestWhatCannotBeKilled(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		k.unkilled = true
		s.Do(effect(engine.EffectSpawn, 1))
		told()
		for range 3 {
			s.Do(effect(engine.EffectKill, 1))
			time.Sleep(20 * time.Second)
		}
		if got := kinds(told()); !slices.Equal(got, []service.EventKind{service.Spawned}) {
			t.Fatalf("told %v before anything ended", got)
		}
		k.mu.Lock()
		tries := len(k.log)
		k.unkilled = false
		k.mu.Unlock()
		if tries > 300 {
			t.Errorf("%d calls in a minute: that is a busy loop", tries)
		}
		time.Sleep(2 * maxPause)
		got := kinds(told())
		slices.Sort(got)
		if want := []service.EventKind{service.Spawned, service.Exited, service.Empty}; !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// S21: a sweep or kill of what is long gone is answered too.
func TestSweepOfNothing(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		s.Do(effect(engine.EffectSweep, 7))
		got := told()
		if len(got) != 1 || got[0].Process.Kind != service.Empty || got[0].Process.Attempt != 7 {
			t.Errorf("told %v", kinds(got))
		}
		if len(s.services) != 0 {
			t.Error("the service is not forgotten")
		}
	})
}

func TestSpawnFailureIsTold(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		k.cloneErr = &SpawnFailure{Text: "exec_start: x: no", NoExec: true}
		s.Do(effect(engine.EffectSpawn, 1))
		s.Do(effect(engine.EffectSignal, 1))
		got := told()
		if len(got) != 1 || got[0].Process.Error != "exec_start: x: no" || !got[0].Process.NoExec {
			t.Errorf("told %+v", got)
		}
		s.Do(effect(engine.EffectSweep, 1))
		if got := kinds(told()); len(got) != 2 || got[1] != service.Empty {
			t.Errorf("told %v", got)
		}
		if len(s.services) != 0 {
			t.Error("the service is not forgotten")
		}
	})
}

func TestInboxFullBlocksNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &fake{}
		room := make(chan struct{})
		s, err := New(Config{Kernel: k, Post: func(engine.Input) { <-room }})
		if err != nil {
			t.Fatal(err)
		}
		for n := range int64(10) { // each of these posts, and hangs there
			s.Do(effect(engine.EffectSpawn, n+1))
		}
		synctest.Wait()
		s.Do(effect(engine.EffectKill, 10))
		synctest.Wait()
		if !slices.Contains(k.log, "signal tree KILL") {
			t.Error("the KILL hangs behind a full inbox")
		}
		close(room)
		synctest.Wait()
		s.Close(false)
	})
}
