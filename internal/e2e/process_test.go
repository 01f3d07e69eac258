package e2e_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

func TestKilledMainProcessIsStartedAgain(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`+"\n"+`backoff = { first = "300ms" }`)
		m.boot()
		m.do("start", "a")
		pid := m.Main("a")
		must(m.T, unix.Kill(pid, unix.SIGKILL))
		m.Until("told as killed", func() bool {
			s := m.Get("a")
			return s.Exit != nil && s.Exit.Signal != nil && strings.Contains(*s.Exit.Signal, "KILL") && s.Failures == 1
		})
		m.Until("up again", func() bool {
			s := m.Get("a")
			return s.State == "up" && *s.Pid != pid && s.Restarts == 1
		})
	})
}

// pids waits for a file of pids that a service writes, n of them.
func (m *machine) pids(file string, n int) (pids []int) {
	m.Helper()
	m.Until(file+" has the pids", func() bool { return len(m.lines(file)) == n && m.lines(file)[0] != "" })
	for _, line := range m.lines(file) {
		pid, err := strconv.Atoi(line)
		must(m.T, err)
		pids = append(pids, pid)
	}
	return pids
}

func TestDaemonisedServiceLeavesNothingOnStop(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		lacks(m.T, "setsid")
		// A double fork: the middle process begins a session and ends.
		m.service("d", `exec_start = ["sh", "-c", "(setsid sh -c 'sleep 1000 & echo $! >>`+m.Path("pids")+`' &) ; exec sleep 1000"]`)
		m.boot()
		m.do("start", "d")
		orphan := m.pids("pids", 1)[0]
		main := m.Main("d")
		m.do("stop", "d")
		for _, pid := range []int{main, orphan} {
			if livetest.Alive(pid) {
				m.Errorf("process %d outlives the stop", pid)
			}
		}
	})
}

func TestServiceThatDaemonisesIsToldToStayInTheForeground(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		m.service("d", `exec_start = ["sh", "-c", "sleep 1000 & echo $! >>`+m.Path("pids")+`; exit 0"]`+"\n"+`backoff = { first = "20s" }`)
		m.boot()
		m.do("start", "d", "--no-wait")
		child := m.pids("pids", 1)[0]
		m.Is("d", "backoff")
		if out, _ := m.try("why", "d"); !strings.Contains(out, "daemoni") {
			m.Errorf("why does not say that it daemonises:\n%s", out)
		}
		m.Gone(child)
	})
}

func TestSetsidGrandchildIsGoneWithItsService(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		lacks(m.T, "setsid")
		m.service("s", `exec_start = ["sh", "-c", "setsid sh -c 'setsid sleep 1000 & echo $! >>`+m.Path("pids")+`; echo $$ >>`+m.Path("pids")+`; wait' & wait"]`)
		m.boot()
		m.do("start", "s")
		family := append(m.pids("pids", 2), m.Main("s"))
		m.do("stop", "s")
		for _, pid := range family {
			if livetest.Alive(pid) {
				m.Errorf("process %d of %v outlives the stop", pid, family)
			}
		}
	})
}

func TestServiceThatIgnoresTermIsKilledInTime(t *testing.T) {
	live(t, func(m *machine) {
		m.service("deaf", `exec_start = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]`+"\n"+`shutdown_timeout = "1s"`)
		m.boot()
		m.do("start", "deaf")
		pid := m.Main("deaf")
		// The trap must be there before the signal.
		m.Until("deaf", func() bool { return ignores(pid, syscall.SIGTERM) })
		began := time.Now()
		m.do("stop", "deaf")
		if d := time.Since(began); d < time.Second || d > 9*time.Second || livetest.Alive(pid) {
			m.Errorf("stopped in %v, alive %v: shutdown_timeout is 1 s", d, livetest.Alive(pid))
		}
		if s := m.Get("deaf"); s.Exit == nil || s.Exit.Signal == nil || !strings.Contains(*s.Exit.Signal, "KILL") || s.Failures != 0 {
			m.Errorf("told as %+v", s.Exit)
		}
	})
}

func ignores(pid int, sig syscall.Signal) bool {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			set, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return set&(1<<(sig-1)) != 0
		}
	}
	return false
}

func TestCommandThatIsNotExecutableFailsOnceWithItsReason(t *testing.T) {
	live(t, func(m *machine) {
		m.probe()
		plain := m.file("plain-file", "#!/bin/sh\nsleep 1000\n")
		m.service("file", `exec_start = ["`+plain+`"]`)
		m.service("none", `exec_start = ["/no/such/program"]`)
		m.service("user", `exec_start = ["sleep", "1000"]`+"\nuser = \"no-such-user\"")
		m.boot()
		r := m.record()
		for name, why := range map[string]string{"file": "permission denied", "none": "no such file", "user": "no-such-user"} {
			began := time.Now()
			out := m.fails(1, "start", name)
			if !strings.Contains(out, why) || time.Since(began) > 5*time.Second {
				m.Errorf("start %s said after %v:\n%s", name, time.Since(began), out)
			}
			s := m.Is(name, "failed")
			if s.Exit == nil || !strings.Contains(s.Exit.Text, why) {
				m.Errorf("%s: exit %+v, want %q", name, s.Exit, why)
			}
			if out := m.fails(1, "why", name); !strings.Contains(out, why) {
				m.Errorf("why %s:\n%s", name, out)
			}
		}
		m.never("a storm", quiet, func() bool { return strings.Count(r.text("file"), ">starting") > 1 })
		// What was wrong is put right, and asked for again.
		must(m.T, os.Chmod(plain, 0o755))
		m.do("start", "file")
	})
}

func TestStickThatIsBusyStaysMountedAndSaysSo(t *testing.T) {
	live(t, func(m *machine) {
		m.service("mount", `type = "oneshot"
exec_start = ["true"]
exec_stop = ["sh", "-c", "test ! -e `+m.Path("busy")+` || { echo target is busy; exit 32; }"]`)
		m.boot()
		m.do("start", "mount")
		if s := m.Is("mount", "up"); s.Pid != nil {
			m.Errorf("a completed oneshot has pid %d", *s.Pid)
		}
		m.file("busy", "")
		out := m.fails(1, "stop", "mount")
		if !strings.Contains(out, "32") {
			m.Errorf("stop said:\n%s", out)
		}
		if s := m.Is("mount", "failed"); s.Exit == nil || s.Exit.Code == nil || *s.Exit.Code != 32 {
			m.Errorf("told as %+v", s.Exit)
		}
		m.never("it is tried again", quiet, func() bool { return m.Get("mount").State != "failed" })
		must(m.T, os.Remove(m.Path("busy")))
		m.do("start", "mount")
		m.do("stop", "mount")
		m.Is("mount", "down")
	})
}

// Somebody closes what was open, and says stop again.
func TestBusyStickIsUnmountedWhenStopIsSaidAgain(t *testing.T) {
	live(t, func(m *machine) {
		m.service("mount", `type = "oneshot"
exec_start = ["true"]
exec_stop = ["test", "!", "-e", "`+m.Path("busy")+`"]`)
		m.boot()
		m.do("start", "mount")
		m.file("busy", "")
		m.fails(1, "stop", "mount")
		must(m.T, os.Remove(m.Path("busy")))
		m.do("stop", "mount")
		m.Is("mount", "down")
	})
}

func TestMaskedServiceShowsItsHoldsAndNeverStarts(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", "")
		m.boot()
		m.cable("wan0")
		m.Until("held", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		s := m.Get("net@wan0")
		if s.Blocked == nil || s.Blocked.Kind != "masked" || s.Definition == nil || !s.Definition.Masked || s.Pid != nil {
			m.Errorf("%+v", s)
		}
		if out := m.fails(1, "why", "net@wan0"); !strings.Contains(out, "mask") {
			m.Errorf("why:\n%s", out)
		}
		m.fails(1, "start", "net@wan0", "--timeout", "2s")
		m.never("it starts", quiet, func() bool { return m.Get("net@wan0").State == "up" })
	})
}

func TestNeededServiceThatDiesTakesItsDependentsDownUncharged(t *testing.T) {
	live(t, func(m *machine) {
		m.service("base", `exec_start = ["sleep", "1000"]`)
		m.service("top", "exec_start = [\"sleep\", \"1000\"]\nneeds = [\"base\"]")
		m.boot()
		m.do("start", "top")
		base, top := m.Main("base"), m.Main("top")
		must(m.T, unix.Kill(base, unix.SIGKILL))
		m.Until("both are up again", func() bool {
			b, t := m.Get("base"), m.Get("top")
			return b.State == "up" && t.State == "up" && *b.Pid != base && *t.Pid != top
		})
		if s := m.Get("top"); s.Failures != 0 || s.Restarts != 0 {
			m.Errorf("the dependent is charged: %d failures, %d restarts", s.Failures, s.Restarts)
		}
	})
}

func TestCrashCountedBeforeTheCableIsForgottenWhenItComes(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sh", "-c", "test -e `+m.Path("good")+` && exec sleep 1000; exit 7"]
backoff = { first = "50ms", max = "50ms" }
give_up = { failures = 2, within = "1m" }`)
		m.boot()
		m.do("start", "net@wan0", "--no-wait")
		m.Is("net@wan0", "failed")
		m.file("good", "")
		m.cable("wan0")
		m.Is("net@wan0", "up")
	})
}
