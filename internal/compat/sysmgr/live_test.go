package sysmgr_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/compat/sysmgr"
	"hotsvc/internal/livetest"
)

func TestMain(m *testing.M) {
	os.Exit(livetest.Build(m, slices.Sorted(maps.Keys(sysmgr.Programs))))
}

// live is a story on a machine with sysmgr's directory in sys, where the service
// sshd only sleeps.
func live(t *testing.T, story func(m *livetest.Machine)) {
	livetest.Live(t, func(m *livetest.Machine) {
		m.Env = append(m.Env, "SYSDIR="+m.Path("sys"), "RUNDIR="+m.Path("rundir"), "NOTED="+m.Path("noted"))
		m.Script("sys/sshd", "exec sleep 1000")
		story(m)
	})
}

func boot(m *livetest.Machine) {
	m.Helper()
	m.Boot("sysmgr:" + m.Path("sys"))
}

// svctl runs it; what it says of services is on stderr.
func svctl(m *livetest.Machine, exit int, stderr string, args ...string) {
	m.Helper()
	m.Says(exit, "", stderr, "svctl", args...)
}

// TestWrongCallsOfSvctl: usage, an operation that there is not, services that
// there are not, and no daemon (SM-31, SM-32).
func TestWrongCallsOfSvctl(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		boot(m)
		for _, c := range []struct {
			exit int
			args []string
		}{{0, nil}, {0, []string{"-h"}}, {0, []string{"--version", "sshd"}}, {1, []string{"start"}}} {
			if r := m.Run("svctl", c.args...); r.Exit != c.exit || !strings.HasPrefix(r.Out, "usage: svctl ") || r.Err != "" {
				t.Errorf("svctl %q: %+v", c.args, r)
			}
		}
		svctl(m, 1, "Unknown operation: enable\n", "enable", "sshd")
		svctl(m, 1, "Couldn't start nothing\n", "start", "nothing", "sshd")
		svctl(m, 1, "Couldn't down /x/nothing\n", "down", "/x/nothing")
		svctl(m, 1, "nothing: DOWN\n", "status", "nothing")
		m.Quit()
		svctl(m, 1, m.Path("rundir")+" could not be found, are you sure sysmgr is running?\n", "status", "sshd")
	})
}

// TestStartsAtBootAndAgain: what is in the directory runs, with its own path as
// its argument and the directories in its environment, and again after every end
// (SM-1, SM-3, SM-4, SM-5, SM-22).
func TestStartsAtBootAndAgain(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/ends", `echo "$# $1 $SYSDIR $RUNDIR" >> "$NOTED"; exit 0`)
		m.Script("sys/.hidden", "exec sleep 1000")
		m.File("sys/README", "no program\n", 0o644)
		boot(m)
		first := m.Main("sshd")
		m.Until("it has run twice", func() bool { return len(m.Lines("noted")) >= 2 })
		line := "1 " + m.Path("sys/ends") + " " + m.Path("sys") + " " + m.Path("run/sysmgr")
		if got := m.Lines("noted"); got[0] != line || got[1] != line {
			t.Errorf("it saw %q, want %q", got, line)
		}
		if got := m.Main("sshd"); got != first {
			t.Errorf("sshd was %d and is %d", first, got)
		}
		syscall.Kill(first, syscall.SIGKILL)
		m.Until("another sshd", func() bool {
			s := m.Get("sshd")
			return s.State == "up" && s.Pid != nil && *s.Pid != first
		})
		for _, name := range []string{".hidden", "README"} {
			svctl(m, 1, name+": DOWN\n", "status", name)
		}
	})
}

// TestNewFilesArePickedUp at once (SM-3). What has no file any more is stopped,
// as everywhere in hotsvc: nobody could say how to run it again.
func TestNewFilesArePickedUp(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		boot(m)
		sshd := m.Main("sshd")
		m.Script("sys/new", "exec sleep 1000")
		m.Until("new runs", func() bool { return m.Run("svctl", "status", "new").Err == "new: UP\n" })
		if err := os.Remove(m.Path("sys/sshd")); err != nil {
			t.Fatal(err)
		}
		m.Gone(sshd)
		svctl(m, 1, "Couldn't start sshd\n", "start", "sshd")
	})
}

// TestUpAndDown: stop and start, under both names and by path, and what they do
// where there is nothing to do (SM-30, SM-32, SM-33, SM-35).
func TestUpAndDown(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/crond", "exec sleep 1000")
		boot(m)
		sshd := m.Main("sshd")
		m.Main("crond")
		path := m.Path("sys/sshd")
		svctl(m, 0, "sshd: UP\n"+path+": UP\n", "status", "sshd", path)
		svctl(m, 0, "", "start", "sshd", "crond")
		if now := m.Main("sshd"); now != sshd {
			t.Errorf("sshd was %d and is %d", sshd, now)
		}
		svctl(m, 0, "", "stop", path)
		svctl(m, 1, "sshd: DOWN\ncrond: UP\n", "stat", "sshd", "crond")
		m.Gone(sshd)
		m.Is("sshd", "down")
		svctl(m, 0, "", "down", "sshd", "crond")
		m.Is("crond", "down")
		svctl(m, 0, "", "up", "crond", "sshd")
		m.Main("crond")
		m.Main("sshd")
		svctl(m, 0, "crond: UP\nsshd: UP\n", "status", "crond", "sshd")
	})
}

// TestStoppedStaysStopped, also when the daemon dies: the lock was a file, and is
// now what the daemon remembers (SM-10).
func TestStoppedStaysStopped(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		boot(m)
		m.Main("sshd")
		svctl(m, 0, "", "stop", "sshd")
		m.Is("sshd", "down")
		m.Crash()
		boot(m)
		svctl(m, 1, "sshd: DOWN\n", "status", "sshd")
		svctl(m, 0, "", "start", "sshd")
		m.Main("sshd")
	})
}

// TestRestart ends the run that there is and begins another; what is down it
// starts (SM-34).
func TestRestart(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/sshd", `echo run >> "$NOTED"; exec sleep 1000`)
		runs := func(n int) {
			t.Helper()
			m.Until("so many runs", func() bool { return len(m.Lines("noted")) >= n })
			if got := len(m.Lines("noted")); got != n {
				t.Fatalf("%d runs, want %d", got, n)
			}
		}
		boot(m)
		first := m.Main("sshd")
		svctl(m, 0, "", "restart", "sshd")
		if livetest.Alive(first) {
			t.Error("restart came back before the process was gone")
		}
		second := m.Main("sshd")
		svctl(m, 0, "", "stop", "sshd")
		m.Gone(second)
		m.Is("sshd", "down")
		svctl(m, 0, "", "restart", "sshd")
		m.Main("sshd")
		runs(3)
		svctl(m, 0, "", "once", "sshd")
		svctl(m, 0, "", "restart", "sshd")
		m.Main("sshd")
		runs(4)
	})
}

func ignoresTERM(pid int) bool {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, after, _ := strings.Cut(string(b), "SigIgn:")
	line, _, _ := strings.Cut(after, "\n")
	mask, _ := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return mask&(1<<(syscall.SIGTERM-1)) != 0
}

// TestKill reaches what does not heed TERM, with all that it has started, and it
// stays down (SM-34; not W-SM-3).
func TestKill(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/deaf", `sleep 1000 & echo $! >> "$NOTED"; trap '' TERM; while :; do sleep 1; done`)
		boot(m)
		main := m.Main("deaf")
		m.Until("its child is noted, and it is deaf", func() bool { return len(m.Lines("noted")) == 1 && ignoresTERM(main) })
		child, _ := strconv.Atoi(m.Lines("noted")[0])
		svctl(m, 0, "", "kill", "deaf")
		m.Gone(main)
		m.Is("deaf", "down")
		m.Gone(child)
		svctl(m, 0, "", "kill", "deaf")
		svctl(m, 1, "deaf: DOWN\n", "status", "deaf")
		m.Is("deaf", "down")
	})
}

// TestOnce: it is UP while it runs, and is not run again when it ends (SM-34; not
// W-SM-2).
func TestOnce(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		boot(m)
		first := m.Main("sshd")
		svctl(m, 0, "", "once", "sshd")
		svctl(m, 0, "sshd: UP\n", "status", "sshd")
		if now := m.Main("sshd"); now != first {
			t.Errorf("sshd was %d and is %d", first, now)
		}
		syscall.Kill(first, syscall.SIGTERM)
		m.Is("sshd", "down")
		svctl(m, 1, "sshd: DOWN\n", "status", "sshd")
		svctl(m, 0, "", "once", "sshd")
		second := m.Main("sshd")
		syscall.Kill(second, syscall.SIGTERM)
		m.Is("sshd", "down")
		svctl(m, 0, "", "start", "sshd")
		m.Main("sshd")
	})
}
