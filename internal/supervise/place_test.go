package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// runsOn starts a service, has its daemon end as for an upgrade, and does
// something; the next daemon, which may choose freely, is to find the service.
func runsOn(t *testing.T, w *world, meanwhile func()) {
	t.Helper()
	w.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
	w.Do(engine.Effect{Kind: engine.EffectGlobal, Record: []byte("g")})
	pid := w.up("a", 1, "sleep", "1000")
	w.Close(true)
	meanwhile()
	w = newWorld(t, "", w.run)
	records, global, live, err := w.Load()
	if err != nil || len(records) != 1 || string(global) != "g" {
		t.Errorf("records %q, global %q, %v", records, global, err)
	}
	if len(live) != 1 || live[0].Tree != (Tree{"a", 1}) || live[0].Command != service.CommandMain || live[0].Pid != pid || live[0].Left != 0 {
		t.Fatalf("live %+v, want pid %d: it would be started a second time", live, pid)
	}
	w.Adopt(live[0], nil)
	w.kill("a", 1)
	w.event("a", 1, service.Empty)
	if alive(pid) {
		t.Error("it cannot be ended")
	}
	w.forgotten("a")
}

// The first daemon of an early boot finds no cgroup2; the next one would.
func TestServiceStartedWithoutCgroupsIsAdoptedWhenThereAreSome(t *testing.T) {
	withCgroups(t)
	w := newWorld(t, "none", t.TempDir())
	runsOn(t, w, func() {})
	w = newWorld(t, "", w.run)
	if lines := strings.Join(w.Degraded(), "\n"); strings.Contains(lines, "started without") {
		t.Errorf("nothing runs any more that was: %s", lines)
	}
}

func TestCgroupsThatFailForAMomentCostNoService(t *testing.T) {
	w := withCgroups(t)
	root := w.host.trees.(*cgroups).root
	runsOn(t, w, func() {
		limit := filepath.Join(root, "cgroup.max.descendants")
		if err := os.WriteFile(limit, []byte("2"), 0); err != nil {
			t.Skip(err)
		}
		if s, err := New(Config{RunDir: w.run, LogDir: w.run}); err == nil {
			s.Close(true)
			t.Error("a daemon began that cannot reach the services of the last one")
		} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), root) {
			t.Error(err)
		}
		if CheckTrees(w.run) == nil {
			t.Error("it was said to be fit for an upgrade")
		}
		if err := os.WriteFile(limit, []byte("max"), 0); err != nil {
			t.Fatal(err)
		}
		if err := CheckTrees(w.run); err != nil {
			t.Error(err)
		}
	})
}

func TestDamagedBootFileCostsNoService(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		for _, damage := range []func(path string) error{
			func(path string) error { return os.Truncate(path, 10) },
			os.Remove,
		} {
			w := newWorld(t, root, t.TempDir())
			runsOn(t, w, func() {
				if err := damage(filepath.Join(w.run, "boot")); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// Where the cgroups are mounted may change as well.
func TestCgroupsThatAreMountedElsewhereByNow(t *testing.T) {
	w := withCgroups(t)
	runsOn(t, w, func() {
		b, _, err := readBoot(w.host.runDir)
		if err != nil {
			t.Fatal(err)
		}
		b.root = filepath.Join("/nowhere", filepath.Base(b.root))
		if err := os.WriteFile(filepath.Join(w.run, "boot"), b.text(), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatIsNoNoteIsInNobodysWay(t *testing.T) {
	if err := CheckTrees(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
	w := newWorld(t, "none", t.TempDir())
	if err := os.WriteFile(filepath.Join(w.run, "run/stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckTrees(w.run); err != nil {
		t.Error(err)
	}
	if _, _, _, err := w.Load(); err != nil {
		t.Error(err)
	}
}

func TestDamagedNoteCostsNoService(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		for _, text := range []string{"", "\n", "ma", "main 8", "main 812 9"} {
			w := newWorld(t, root, t.TempDir())
			runsOn(t, w, func() {
				if err := os.WriteFile(filepath.Join(w.run, "run/a/1"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// A service may have cgroups of its own below its tree's, of threads, too: whose
// processes are cannot be read there, but above.
func TestServiceWithACgroupOfThreadsIsAdopted(t *testing.T) {
	w := withCgroups(t)
	dir := w.host.trees.(*cgroups).dir(Tree{"a", 1})
	pid := w.up("a", 1, "sh", "-c", "cd "+dir+" && mkdir vcpu && echo threaded >vcpu/cgroup.type && echo $$ >vcpu/cgroup.threads; exec sleep 1000")
	eventually(t, "its thread is there", func() bool {
		threads, err := os.ReadFile(dir + "/vcpu/cgroup.threads")
		return err == nil && len(threads) > 0
	})
	if _, err := os.ReadFile(dir + "/vcpu/cgroup.procs"); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Fatalf("it is no cgroup of threads: %v", err)
	}
	w.Close(true)
	w = newWorld(t, "", w.run)
	_, _, live, err := w.Load()
	if err != nil || len(live) != 1 || live[0].Pid != pid || live[0].Left != 0 {
		t.Fatalf("live %+v, %v", live, err)
	}
	w.Adopt(live[0], nil)
	w.term("a", 1)
	w.event("a", 1, service.Exited)
}
