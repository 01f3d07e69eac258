package supervise

import (
	"os"
	"path/filepath"
	"testing"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

func TestStartAndStop(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		w.Do(engine.Effect{Kind: engine.EffectSave, Service: "a@x/y", Record: []byte(`{"v":1}`)})
		pid := w.up("a@x/y", 1, "sleep", "1000")
		if text, err := os.ReadFile(filepath.Join(w.run, "svc/a@x%2Fy")); err != nil || string(text) != `{"v":1}` {
			t.Errorf("record %q, %v: want it written before the spawn", text, err)
		}
		if name, attempt, ok := w.ServiceOf(pid); !ok || name != "a@x/y" || attempt != 1 {
			t.Errorf("ServiceOf(%d) = %q, %d, %v", pid, name, attempt, ok)
		}
		w.term("a@x/y", 1)
		e := w.event("a@x/y", 1, service.Exited)
		if e.Exit.Signal != "TERM" || e.Left != 0 {
			t.Errorf("exited %+v, want by TERM with nothing left", e)
		}
		w.sweep("a@x/y", 1)
		w.event("a@x/y", 1, service.Empty)
		w.forgotten("a@x/y")
	})
}

func TestExitStatus(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		w.spawn("a", 1, "sh", "-c", "exit 7")
		if e := w.event("a", 1, service.Exited); e.Exit != (service.Exit{Code: 7}) {
			t.Errorf("exit %+v, want 7", e.Exit)
		}
		w.spawn("a", 2, "sh", "-c", "kill -9 $$")
		if e := w.event("a", 2, service.Exited); e.Exit != (service.Exit{Signal: "KILL", Number: 9}) {
			t.Errorf("exit %+v, want by KILL", e.Exit)
		}
	})
}

func TestDoubleForkIsSwept(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		w.spawn("a", 1, "sh", "-c", "(setsid sh -c 'echo $$ >"+file+"; exec sleep 1000' &) ; exit 0")
		left := w.event("a", 1, service.Exited).Left
		pid := pidIn(t, file)
		if left < 1 {
			t.Errorf("left %d, want at least the grandchild", left)
		}
		w.sweep("a", 1)
		w.event("a", 1, service.Empty)
		if alive(pid) {
			t.Errorf("grandchild %d lives on", pid)
		}
		w.forgotten("a")
	})
}

func TestKillReachesWhatIgnoresTerm(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		w.spawn("a", 1, "sh", "-c", "trap '' TERM; (trap '' TERM; setsid sh -c 'echo $$ >"+file+"; while :; do sleep 1000; done') & while :; do sleep 1000; done")
		pid := w.event("a", 1, service.Spawned).Pid
		grandchild := pidIn(t, file)
		w.term("a", 1)
		w.kill("a", 1)
		if e := w.event("a", 1, service.Exited); e.Exit.Signal != "KILL" {
			t.Errorf("exit %+v, want by KILL", e.Exit)
		}
		w.event("a", 1, service.Empty)
		if alive(pid) || alive(grandchild) {
			t.Error("something of it lives on")
		}
		w.forget()
		w.sweep("a", 1)
		w.event("a", 1, service.Empty)
	})
}
