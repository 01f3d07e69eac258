package backhand_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// TestExplicitStartIsAHold: what bh-start started, a last release does not stop;
// where nothing is held a release does nothing, and says yes (BH-31, BH-35).
func TestExplicitStartIsAHold(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		quiet(m, "bh-start", "web")
		first := m.Main("web")
		quiet(m, "bh-require", "web")
		quiet(m, "bh-release", "web")
		quiet(m, "bh-release", "web")
		if now := m.Main("web"); now != first {
			t.Errorf("it was %d and is %d", first, now)
		}
		quiet(m, "bh-stop", "web")
		quiet(m, "bh-release", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		quiet(m, "bh-require", "web") // held already, bh-start adds nothing
		quiet(m, "bh-start", "web")
		quiet(m, "bh-release", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
	})
}

// TestStopIgnoresTheCount, and does not reset it (BH-24); a start goes on with it.
func TestStopIgnoresTheCount(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		quiet(m, "bh-require", "web")
		quiet(m, "bh-require", "web")
		quiet(m, "bh-stop", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		heldBy(m, "web", map[string]int{"uid:0": 2})
		quiet(m, "bh-start", "web")
		quiet(m, "bh-release", "web")
		m.Main("web")
		quiet(m, "bh-release", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
	})
}

// TestRequireStartsWhatWasStopped: who requires a service and hears yes has it
// running, also after a bh-stop (BH-30, BH-32). A block is stronger.
func TestRequireStartsWhatWasStopped(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		quiet(m, "bh-start", "web")
		quiet(m, "bh-stop", "web")
		quiet(m, "bh-require", "web")
		m.Main("web")
		quiet(m, "bh-stop", "web")
		quiet(m, "bh-require", "web")
		m.Main("web")
		heldBy(m, "web", map[string]int{"uid:0": 2})
		m.Run("hsctl", "block", "web")
		if r := m.Run("bh-require", "web"); r.Exit != 1 || r.Err != "bh-require: web is down: blocked by uid:0\n" {
			t.Errorf("require of what is blocked: %+v", r)
		}
		heldBy(m, "web", map[string]int{"uid:0": 2})
	})
}

// crowd runs a command many times at once.
func crowd(m *livetest.Machine, n int, name string, args ...string) []*exec.Cmd {
	m.Helper()
	all := make([]*exec.Cmd, n)
	for i := range all {
		all[i] = m.Command(name, args...)
		all[i].Stderr = new(bytes.Buffer)
		if err := all[i].Start(); err != nil {
			m.Fatal(err)
		}
	}
	return all
}

// come waits for all of them, which must have succeeded.
func come(m *livetest.Machine, all []*exec.Cmd) {
	m.Helper()
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			m.Errorf("%v: %v: %s", cmd.Args, err, cmd.Stderr)
		}
	}
	if m.Failed() {
		m.FailNow()
	}
}

// TestTwoHundredRequireAtOnce: no count is lost, and as many releases stop the
// service (BH-30, BH-31, BH-34; not W-BH-1).
func TestTwoHundredRequireAtOnce(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		come(m, crowd(m, 200, "bh-require", "web"))
		heldBy(m, "web", map[string]int{"uid:0": 200})
		if r := m.Run("hsctl", "status", "web"); !strings.Contains(r.Out, "200") {
			t.Errorf("the count is not shown:\n%s", r.Out)
		}
		come(m, crowd(m, 199, "bh-release", "web"))
		heldBy(m, "web", map[string]int{"uid:0": 1})
		m.Says(0, "started\n", "", "bh-status", "web")
		quiet(m, "bh-release", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		m.Until("all is noted", func() bool { return len(m.Lines("noted")) == 3 })
		noted(m, "web pre 1 web", "web run 1 web", "web post 1 web")
	})
}

// TestKilledRequirersLeaveNone: of two hundred that wait for a slow service half
// are killed; the count is a hundred, nobody came back too soon, and a hundred
// releases stop the service (BH-32, BH-34; not W-BH-3).
func TestKilledRequirersLeaveNone(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.File("native/slow.toml", `exec_start = ["sleep", "1000"]
ready = "check"
check = ["test", "-e", "`+m.Path("go")+`"]
check_every = "100ms"`, 0o644)
		boot(m)
		all := crowd(m, 200, "bh-require", "slow")
		waiting := func() bool { return connections(m) >= 50 }
		m.Until("a good part of them waits", waiting)
		var stay []*exec.Cmd
		for i, cmd := range all {
			if i%2 == 0 {
				stay = append(stay, cmd)
				continue
			}
			cmd.Process.Kill()
			cmd.Wait()
		}
		m.Until("others wait in their place", waiting)
		for _, cmd := range stay {
			if cmd.Process.Signal(syscall.Signal(0)) != nil || !livetest.Alive(cmd.Process.Pid) {
				t.Fatalf("one came back before the service was up: %s", cmd.Stderr)
			}
		}
		m.File("go", "", 0o644)
		come(m, stay)
		heldBy(m, "slow", map[string]int{"uid:0": 100})
		come(m, crowd(m, 99, "bh-release", "slow"))
		m.Is("slow", "up")
		quiet(m, "bh-release", "slow")
		m.Is("slow", "down")
	})
}

// connections counts those to the daemon: hsctl itself may find no room.
func connections(m *livetest.Machine) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", m.Pid())
	open, err := os.ReadDir(dir)
	if err != nil {
		m.Fatal(err)
	}
	for _, fd := range open {
		if to, _ := os.Readlink(filepath.Join(dir, fd.Name())); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// dependent is a service app whose pre requires db and whose post releases it, as
// backhand's manual has it.
func dependent(m *livetest.Machine, more map[string]string) {
	noting(m, "db", nil)
	scripts := map[string]string{"pre": "bh-require db || exit 1", "post": "bh-release db"}
	for name, text := range more {
		scripts[name] = text
	}
	noting(m, "app", scripts)
}

// TestNestedRequire: pre requires, post releases; the hold is the service's own,
// so neither a crash of it nor one of the daemon leaks any (BH-13, BH-33, S38, S39).
func TestNestedRequire(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		dependent(m, nil)
		boot(m)
		quiet(m, "bh-start", "app")
		heldBy(m, "db", map[string]int{"service:app": 1})
		db := m.Main("db")
		syscall.Kill(m.Main("app"), syscall.SIGKILL)
		m.Is("app", "backoff")
		heldBy(m, "db", map[string]int{"service:app": 1})
		m.Crash()
		boot(m)
		heldBy(m, "db", map[string]int{"service:app": 1})
		if now := m.Main("db"); now != db {
			t.Errorf("db was %d and is %d", db, now)
		}
		quiet(m, "bh-stop", "app")
		m.Is("db", "down")
		quiet(m, "bh-start", "app")
		heldBy(m, "db", map[string]int{"service:app": 1})
		quiet(m, "bh-stop", "app")
		m.Says(0, "stopped\n", "", "bh-status", "db")
		heldBy(m, "db", nil)
	})
}

// TestPreThatRequiresAndFails leaves nothing required.
func TestPreThatRequiresAndFails(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		dependent(m, map[string]string{"pre": "bh-require db; bh-status db >> $NOTED; exit 1"})
		boot(m)
		m.Says(1, "", "bh-start: pre failed\n", "bh-start", "app")
		m.Is("db", "down")
		heldBy(m, "db", nil)
		if got := m.Lines("noted"); !slices.Contains(got, "started") {
			t.Errorf("db was not up when bh-require came back: %q", got)
		}
	})
}

// TestStopall: every service of backhand's goes down, who requires before what is
// required; one that fails is named, and keeps no other up (BH-25).
func TestStopall(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		dependent(m, map[string]string{"post": "bh-status db >> $NOTED; bh-release db"})
		noting(m, "bad", map[string]string{"post": "exit 1"})
		noting(m, "slowly", map[string]string{"run": "trap 'echo going >> $NOTED; sleep 1; echo gone >> $NOTED; exit 0' TERM; while :; do sleep .1; done"})
		m.File("native/other.toml", `exec_start = ["sleep", "1000"]`, 0o644)
		boot(m)
		for _, name := range []string{"app", "bad", "slowly@1", "slowly@2", "slowly@3", "slowly@4", "other"} {
			quiet(m, "bh-start", name)
		}
		m.Until("traps are set", func() bool { return strings.Count(strings.Join(m.Lines("noted"), "\n"), "slowly run") == 4 })
		m.Says(1, "", "bh-stopall: failed to stop bad\n", "bh-stopall")
		got := m.Lines("noted")
		if first := slices.Index(got, "gone"); first < 0 || !slices.Contains(got[slices.Index(got, "going")+1:first], "going") {
			t.Errorf("they go one after the other: %q", got)
		}
		for _, name := range []string{"app", "db", "slowly@1", "slowly@4"} {
			m.Says(0, "stopped\n", "", "bh-status", name)
		}
		m.Says(0, "failed\n", "", "bh-status", "bad")
		m.Is("other", "up")
		if !slices.Contains(got, "started") || slices.Index(got, "app post 1 app") > slices.Index(got, "db post 1 db") {
			t.Errorf("db was gone before app: %q", got)
		}
		quiet(m, "bh-start", "app")
	})
}

// TestStaysAfterADaemonDied: nothing is orphaned and nothing stale (not W-BH-2).
func TestStaysAfterADaemonDied(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		quiet(m, "bh-require", "web")
		first := m.Main("web")
		m.Crash()
		boot(m)
		m.Says(0, "started\n", "", "bh-status", "web")
		if now := m.Main("web"); now != first {
			t.Errorf("it was %d and is %d", first, now)
		}
		quiet(m, "bh-release", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		if livetest.Alive(first) {
			t.Error("the process is still there")
		}
	})
}

// TestTenSeconds: pre gets ten seconds and then the start has failed; a run that
// does not heed TERM is killed after ten (BH-11, BH-22).
func TestTenSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	live(t, func(m *livetest.Machine) {
		noting(m, "late", map[string]string{"pre": "exec sleep 1000"})
		noting(m, "stubborn", map[string]string{"run": "trap '' TERM; echo deaf >> $NOTED; while :; do sleep 1; done"})
		boot(m)
		quiet(m, "bh-start", "stubborn")
		m.Until("it is deaf", func() bool { return slices.Contains(m.Lines("noted"), "deaf") })
		began := time.Now()
		between := func(what string) {
			if took := time.Since(began); took < 9*time.Second || took > 20*time.Second {
				t.Errorf("%s after %v", what, took)
			}
		}
		var both sync.WaitGroup
		both.Go(func() {
			if r := m.Run("bh-start", "late"); r.Exit != 1 || r.Err != "bh-start: pre failed\n" {
				t.Errorf("bh-start: %+v", r)
			}
			between("pre was over")
		})
		quiet(m, "bh-stop", "stubborn")
		between("killed")
		both.Wait()
	})
}

// TestACrowdLocksNobodyOut: many that wait for a service leave room for what it
// needs itself, and for people.
func TestACrowdLocksNobodyOut(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		dependent(m, map[string]string{"pre": "while ! test -e " + m.Path("go") + "; do sleep .1; done; bh-require db || exit 1"})
		boot(m)
		all := crowd(m, 100, "bh-require", "app")
		m.Until("a good part of them waits", func() bool { return connections(m) >= 60 })
		if r := m.Run("hsctl", "status", "app"); r.Exit != 0 {
			t.Errorf("hsctl status: %+v", r)
		}
		m.File("go", "", 0o644)
		come(m, all)
		heldBy(m, "app", map[string]int{"uid:0": 100})
	})
}
