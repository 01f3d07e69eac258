package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// refused runs a daemon that must not start, and returns what it said.
func (m *machine) refused(args ...string) string {
	m.Helper()
	cmd := m.command(args...)
	done := make(chan bool)
	go func() {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
		}
	}()
	out, err := cmd.CombinedOutput()
	close(done)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 111 {
		m.Errorf("hotsvc ended with %v, want 111:\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "error:") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		m.Errorf("not one line that says error:\n%s", out)
	}
	return string(out)
}

// readOnly makes a directory that nobody can write to, not even root.
func (m *machine) readOnly(name string) {
	m.Helper()
	must(m.T, os.Mkdir(m.Path(name), 0o755))
	must(m.T, unix.Mount("tmpfs", m.Path(name), "tmpfs", 0, "mode=755"))
	m.Cleanup(func() { unix.Unmount(m.Path(name), unix.MNT_DETACH) })
	must(m.T, unix.Mount("tmpfs", m.Path(name), "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=755"))
}

func TestSecondDaemonOnTheSameRunDir(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.do("start", "a")
		pid := m.Main("a")
		out := m.refused()
		if !strings.Contains(out, m.Path("run")) || !strings.Contains(out, "another hotsvc") {
			m.Errorf("said:\n%s", out)
		}
		if got := m.Main("a"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
	})
}

func TestMissingRunDirIsMade(t *testing.T) {
	live(t, func(m *machine) {
		m.args = []string{"--run-dir", m.Path("deep/er/run"), "--socket", m.Path("run/control")}
		must(m.T, os.Mkdir(m.Path("run"), 0o755))
		m.boot()
		if _, err := os.Stat(m.Path("deep/er/run/lock")); err != nil {
			m.Error(err)
		}
	})
}

func TestRunDirThatCannotBeWritten(t *testing.T) {
	live(t, func(m *machine) {
		m.readOnly("run")
		if out := m.refused(); !strings.Contains(out, m.Path("run")) || !strings.Contains(out, "read-only") {
			m.Errorf("said:\n%s", out)
		}
		m.file("plain", "")
		if out := m.refused("--run-dir", m.Path("plain/run")); !strings.Contains(out, "not a directory") {
			m.Errorf("said:\n%s", out)
		}
	})
}

func TestSocketThatCannotBeMade(t *testing.T) {
	live(t, func(m *machine) {
		m.file("plain", "precious")
		for _, path := range []string{m.Path("plain"), m.Path("no/such/dir/control"), "/" + strings.Repeat("x", 120)} {
			if out := m.refused("--socket", path); !strings.Contains(out, path) {
				m.Errorf("it does not name %s:\n%s", path, out)
			}
		}
		if got := m.lines("plain")[0]; got != "precious" {
			m.Errorf("the file is %q now", got)
		}
	})
}

func TestFullRunDirIsSaidAndSurvived(t *testing.T) {
	live(t, func(m *machine) {
		must(m.T, os.Mkdir(m.Path("run"), 0o755))
		must(m.T, unix.Mount("tmpfs", m.Path("run"), "tmpfs", 0, "size=256k,mode=755"))
		m.Cleanup(func() { unix.Unmount(m.Path("run"), unix.MNT_DETACH) })
		m.service("a", `exec_start = ["sleep", "1000"]`+"\nbackoff = { first = \"200ms\", max = \"200ms\" }")
		m.boot()
		if err := os.WriteFile(m.Path("run/fill"), make([]byte, 1<<20), 0o644); err == nil {
			m.Fatal("it is not full")
		}
		m.do("start", "a", "--no-wait")
		m.Until("status tells it", func() bool {
			return strings.Contains(strings.Join(m.report().Degraded, "\n"), "no space left")
		})
		must(m.T, os.Remove(m.Path("run/fill")))
		m.Is("a", "up") // by itself
	})
}

func TestReadOnlyLogDir(t *testing.T) {
	live(t, func(m *machine) {
		m.readOnly("log")
		m.service("a", `exec_start = ["sh", "-c", "echo hello; exec sleep 1000"]`)
		m.boot()
		m.do("start", "a")
		m.Main("a")
		m.Until("status tells it", func() bool {
			return strings.Contains(strings.Join(m.report().Degraded, "\n"), m.Path("log"))
		})
	})
}

func TestTermStopsInOrderAndLeavesNothing(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		m.service("base", m.sleeper("base"))
		m.service("mid", m.sleeper("mid")+"needs = [\"base\"]\n")
		m.service("top", m.sleeper("top")+"needs = [\"mid\"]\n")
		m.service("side", m.sleeper("side")+"after = [\"top\"]\n")
		m.boot()
		m.do("start", "top", "side")
		m.Until("all have begun", func() bool { return len(m.lines("journal")) == 4 })
		pids := []int{m.Main("base"), m.Main("mid"), m.Main("top"), m.Main("side")}
		m.End(syscall.SIGTERM)
		if got := strings.Join(m.lines("journal")[4:], ","); got != "end side,end top,end mid,end base" {
			m.Errorf("the order was %s", got)
		}
		for _, pid := range pids {
			if livetest.Alive(pid) {
				m.Errorf("process %d outlives the daemon", pid)
			}
		}
		if left, _ := filepath.Glob(m.Path("run/control")); left != nil {
			m.Errorf("left behind: %v", left)
		}
		m.fails(111, "status")
	})
}

func TestNextDaemonAdoptsWhatTheLastOneLeft(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"USR1": syscall.SIGUSR1, "KILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			liveBothWays(t, func(m *machine) {
				m.rules(cableRule)
				m.service("net@", m.sleeper("{instance}"))
				m.service("base", m.sleeper("base"))
				m.service("top", m.sleeper("top")+"needs = [\"base\"]\n")
				m.service("done", "type = \"oneshot\"\nexec_start = [\"sh\", \"-c\", \"echo once >>"+m.Path("once")+"\"]")
				m.boot()
				m.cable("wan0")
				m.do("start", "top")
				m.do("require", "base", "done")
				names := []string{"net@wan0", "base", "top"}
				var pids []int
				for _, n := range names {
					pids = append(pids, m.Main(n))
				}
				m.Until("all have begun", func() bool { return len(m.lines("journal")) == 3 })
				for range 2 {
					m.End(sig)
					m.boot()
					for i, n := range names {
						m.Is(n, "up")
						if got := m.Main(n); got != pids[i] || !livetest.Alive(got) {
							m.Errorf("%s has pid %d, before %d", n, got, pids[i])
						}
						if s := m.Get(n); s.Restarts != 0 || s.Want != "up" {
							m.Errorf("%s: %d restarts, want %s", n, s.Restarts, s.Want)
						}
					}
				}
				if n := len(m.lines("journal")); n != 3 || len(m.lines("once")) != 1 || m.Get("done").State != "up" {
					m.Errorf("journal %v, once %v, done is %s", m.lines("journal"), m.lines("once"), m.Get("done").State)
				}
				if s := m.Get("base"); len(s.Holds) != 1 || s.Holds[0].Count != 1 {
					m.Errorf("the person's hold: %+v", s.Holds)
				}
				// It is a real parent to them: it hears of ends, and stops them.
				must(m.T, unix.Kill(pids[0], unix.SIGKILL))
				m.Until("started again", func() bool { s := m.Get("net@wan0"); return s.State == "up" && *s.Pid != pids[0] })
				m.do("release", "base")
				m.do("stop", "top", "base")
				m.Gone(pids[1])
				m.Gone(pids[2])
			})
		})
	}
}

func TestCablePulledWhileNoDaemonRuns(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		pid0, pid1 := m.Main("net@wan0"), m.Main("net@wan1")
		m.End(syscall.SIGKILL)
		m.remove("wan0")
		m.cable("wan2")
		m.boot()
		m.Gone(pid0)
		m.Is("net@wan2", "up")
		if got := m.Main("net@wan1"); got != pid1 {
			m.Errorf("pid %d, before %d", got, pid1)
		}
	})
}
