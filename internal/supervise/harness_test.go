package supervise

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

const patience = 20 * time.Second // a deadline, never a pause

// world is a supervisor on the real kernel, and what it told.
type world struct {
	*Supervisor
	t       *testing.T
	run     string
	mu      sync.Mutex
	inputs  []engine.Input
	replies []engine.Reply
	news    *sync.Cond
}

// inBothWorlds runs a test with cgroups, where there are any, and without.
func inBothWorlds(t *testing.T, fn func(*testing.T, *world)) {
	t.Run("cgroups", func(t *testing.T) { fn(t, withCgroups(t)) })
	t.Run("sessions", func(t *testing.T) { fn(t, newWorld(t, "none", t.TempDir())) })
}

func withCgroups(t *testing.T) *world {
	w := newWorld(t, "", t.TempDir())
	if _, ok := w.host.trees.(*cgroups); !ok {
		t.Skip("no cgroups here: ", w.host.without)
	}
	return w
}

func newWorld(t *testing.T, cgroupRoot, run string) *world {
	t.Helper()
	w := &world{t: t, run: run}
	w.news = sync.NewCond(&w.mu)
	s, err := New(Config{
		RunDir: run, LogDir: filepath.Join(run, "log"), CgroupRoot: cgroupRoot,
		Post: func(in engine.Input) {
			w.mu.Lock()
			w.inputs = append(w.inputs, in)
			w.news.Broadcast()
			w.mu.Unlock()
		},
		Reply: func(r engine.Reply) {
			w.mu.Lock()
			w.replies = append(w.replies, r)
			w.news.Broadcast()
			w.mu.Unlock()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Supervisor = s
	t.Cleanup(func() { s.Close(false) })
	return w
}

// until waits for a condition on what was told.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	timer := time.AfterFunc(patience, w.news.Broadcast)
	defer timer.Stop()
	end := time.Now().Add(patience)
	w.mu.Lock()
	defer w.mu.Unlock()
	for !cond() {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s; told: %s", what, w.told())
		}
		w.news.Wait()
	}
}

func (w *world) told() string {
	var b strings.Builder
	for _, in := range w.inputs {
		if in.Process != nil {
			fmt.Fprintf(&b, "\n  %s %+v", in.Process.Service, in.Process.Event)
		} else {
			fmt.Fprintf(&b, "\n  %+v", in)
		}
	}
	return b.String()
}

// event waits for the first event of that kind and attempt.
func (w *world) event(name string, attempt int64, kind service.EventKind) (e service.Event) {
	w.t.Helper()
	w.until(fmt.Sprintf("%s/%d %v", name, attempt, kind), func() bool {
		for _, in := range w.inputs {
			if p := in.Process; p != nil && p.Service == name && p.Attempt == attempt && p.Kind == kind {
				e = p.Event
				return true
			}
		}
		return false
	})
	return e
}

// forget makes event wait for news.
func (w *world) forget() {
	w.mu.Lock()
	w.inputs = nil
	w.mu.Unlock()
}

func (w *world) count(kind service.EventKind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range w.inputs {
		if in.Process != nil && in.Process.Kind == kind {
			n++
		}
	}
	return n
}

func spawnOf(name string, attempt int64, argv ...string) *service.Spawn {
	return &service.Spawn{
		Service: name, Attempt: attempt, Argv: argv, Umask: -1,
		Env: []string{"PATH=" + defaultPath, "HOTSVC_SERVICE=" + name},
	}
}

func (w *world) spawn(name string, attempt int64, argv ...string) {
	w.spawnIt(spawnOf(name, attempt, argv...))
}

func (w *world) spawnIt(s *service.Spawn) {
	w.Do(engine.Effect{Kind: engine.EffectSpawn, Service: s.Service, Attempt: s.Attempt, Command: s.Command, Spawn: s})
}

// up starts a command and returns its pid.
func (w *world) up(name string, attempt int64, argv ...string) int {
	w.t.Helper()
	w.spawn(name, attempt, argv...)
	return w.event(name, attempt, service.Spawned).Pid
}

func (w *world) term(name string, attempt int64) {
	w.Do(engine.Effect{Kind: engine.EffectTerm, Service: name, Attempt: attempt, Signal: "TERM"})
}

func (w *world) kill(name string, attempt int64) {
	w.Do(engine.Effect{Kind: engine.EffectKill, Service: name, Attempt: attempt, KillAll: true})
}

func (w *world) sweep(name string, attempt int64) {
	w.Do(engine.Effect{Kind: engine.EffectSweep, Service: name, Attempt: attempt, Signal: "TERM", KillAll: true})
}

// eventually waits for something that nobody tells.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until ", what)
		}
	}
}

func alive(pid int) bool {
	st, err := readStat(pid)
	return err == nil && !st.zombie()
}

// pidIn waits for a file with a pid in it, written by a command of a test.
func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	eventually(t, path+" has a pid", func() bool {
		text, _ := os.ReadFile(path)
		n, _ := fmt.Sscanf(string(text), "%d\n", &pid)
		return n == 1 && strings.HasSuffix(string(text), "\n")
	})
	return pid
}

// forgotten waits until the supervisor remembers nothing of a service.
// retire is what the engine orders when it has written how attempts ended.
func (w *world) retire(name string) {
	w.Supervisor.mu.Lock()
	x := w.services[name]
	var ended []int64
	if x != nil {
		ended = slices.Collect(maps.Keys(x.attempts))
	}
	w.Supervisor.mu.Unlock()
	for _, n := range ended {
		w.Do(engine.Effect{Kind: engine.EffectRetire, Service: name, Attempt: n})
	}
}

// forgotten has the ends of a service be written, as it were.
func (w *world) forgotten(name string) {
	w.t.Helper()
	eventually(w.t, name+" is forgotten", func() bool {
		w.retire(name) // nothing, while it still runs
		w.Supervisor.mu.Lock()
		defer w.Supervisor.mu.Unlock()
		return w.services[name] == nil
	})
}
