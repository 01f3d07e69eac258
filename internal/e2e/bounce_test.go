package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// bounce pulls a cable and plugs it again once the daemon has seen it out.
func (m *machine) bounce(name, service string) {
	m.Helper()
	m.pull(name)
	m.Until("seen out", func() bool { return m.Get(service).Want == "keep" })
	m.plug(name)
	m.Until("seen in", func() bool { return m.Get(service).Want == "up" })
}

func TestBounceRestartsOrSignalsOnceWhereTheRuleSaysSo(t *testing.T) {
	live(t, func(m *machine) {
		linger := strings.Replace(cableRule, "500ms", "1m", 1)
		m.rules(strings.Replace(linger, `name = "wan*"`, `name = "wan0"`, 1) + "on_bounce = \"restart\"\n" +
			strings.NewReplacer(`"cable"`, `"other"`, `name = "wan*"`, `name = "wan1"`).Replace(linger) + "on_bounce = \"signal:USR1\"\n")
		m.service("net@", `exec_start = ["sh", "-c", "trap 'echo usr1 >>`+m.Path("usr1")+`' USR1; echo $0 >>`+m.Path("starts")+`; while :; do sleep 0.05; done", "{instance}"]`)
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		zero, one := m.Main("net@wan0"), m.Main("net@wan1")
		m.Until("both have begun", func() bool { return len(m.lines("starts")) == 2 })
		m.bounce("wan0", "net@wan0")
		m.bounce("wan1", "net@wan1")
		m.Until("restarted", func() bool { s := m.Get("net@wan0"); return s.State == "up" && *s.Pid != zero })
		m.Until("signalled", func() bool { return m.lines("usr1")[0] == "usr1" })
		m.never("more than once", quiet, func() bool { return len(m.lines("starts")) > 3 || len(m.lines("usr1")) > 1 })
		if got := m.Main("net@wan1"); got != one {
			m.Errorf("pid %d, before %d", got, one)
		}
	})
}

func TestBounceWhileNoDaemonRunsIsSeen(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "500ms", "1m", 1) + "on_bounce = \"restart\"\n")
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		zero, one := m.Main("net@wan0"), m.Main("net@wan1")
		m.End(syscall.SIGKILL)
		flaps := func() string { b, _ := os.ReadFile("/sys/class/net/wan0/carrier_changes"); return string(b) }
		before := flaps()
		m.pull("wan0")
		m.Until("the kernel noticed", func() bool { return flaps() != before })
		m.plug("wan0")
		m.boot()
		m.Until("restarted", func() bool { s := m.Get("net@wan0"); return s.State == "up" && *s.Pid != zero })
		if got := m.Main("net@wan1"); got != one {
			m.Errorf("pid %d, before %d", got, one)
		}
	})
}

func TestStopBlockAndSuspendOutliveTheDaemon(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		for _, name := range []string{"net@", "a", "b"} {
			m.service(name, `exec_start = ["sleep", "1000"]`+"\nstart_at_boot = "+map[bool]string{true: "false", false: "true"}[name == "net@"])
		}
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.do("stop", "net@wan0")
		m.do("block", "a")
		m.Is("b", "up")
		m.End(syscall.SIGKILL)
		m.boot()
		m.never("one of them starts", quiet, func() bool { return m.Get("net@wan0").State == "up" || m.Get("a").State == "up" })
		m.do("suspend")
		m.Is("b", "down")
		m.End(syscall.SIGKILL)
		m.boot()
		m.never("anything starts", quiet, func() bool { return m.Get("b").State == "up" })
		m.do("resume")
		m.Is("b", "up")
		m.do("unblock", "a", "net@wan0")
		m.Is("a", "up")
		m.Is("net@wan0", "up")
	})
}

func TestOutputOfAServiceIsInItsLogAndInStatus(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sh", "-c", "echo one line; echo $(printf 'evil \\033[2J') >&2; exec sleep 1000"]`)
		m.boot()
		m.do("start", "a")
		m.Until("two lines", func() bool { return len(m.Get("a").LogTail) == 2 })
		if out := m.do("status", "a"); !strings.Contains(out, "one line") || strings.Contains(out, "\033") {
			m.Errorf("status:\n%q", out)
		}
		if s := m.Get("a"); s.Log == nil || *s.Log != m.Path("log/a/current") {
			m.Errorf("log: %v", s.Log)
		}
	})
}

func TestRequireFromInsideAServiceIsTheServicesHold(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		ask := livetest.Program("hsctl") + " --socket " + m.Path("run/control")
		m.service("tool", m.sleeper("tool"))
		m.service("outer", `exec_start_pre = ["sh", "-c", "`+ask+` require tool >`+m.Path("said")+` 2>&1"]
exec_start = ["sleep", "1000"]`)
		m.boot()
		m.do("start", "outer")
		s := m.Is("tool", "up")
		if len(s.Holds) != 1 || s.Holds[0].Holder != "service:outer" {
			m.Errorf("holds: %+v", s.Holds)
		}
		m.do("stop", "outer")
		m.Is("tool", "down")
		// Two that wait for each other are refused with the edge, not hung.
		m.service("tool", "exec_start = [\"sleep\", \"1000\"]\nneeds = [\"outer\"]")
		m.do("reload")
		m.do("start", "outer", "--no-wait")
		m.Until("refused", func() bool { return strings.Contains(strings.Join(m.lines("said"), "\n"), "cannot require") })
	})
}

func TestAfterIsOrderAndNoReason(t *testing.T) {
	live(t, func(m *machine) {
		m.service("first", m.sleeper("first")+"ready = \"check\"\ncheck = [\"test\", \"-e\", \""+m.Path("ready")+"\"]\ncheck_every = \"20ms\"\n")
		m.service("second", m.sleeper("second")+"after = [\"first\"]\n")
		m.boot()
		m.do("start", "second") // alone
		if m.Get("first").State != "down" {
			m.Error("after pulls up")
		}
		m.do("stop", "second")
		m.do("start", "first", "second", "--no-wait")
		s := m.Is("second", "waiting")
		if len(s.WaitingFor) != 1 || s.WaitingFor[0].Kind != "after" || !strings.Contains(s.WaitingFor[0].What, "first") {
			m.Errorf("waits for %+v", s.WaitingFor)
		}
		m.file("ready", "")
		m.Is("second", "up")
	})
}

func TestStatusSaysThatAHoldLingers(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "500ms", "1m", 1))
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.pull("wan0")
		m.Until("lingers", func() bool { return m.Get("net@wan0").Want == "keep" })
		if out := m.do("status", "net@wan0"); !strings.Contains(out, "linger") {
			m.Errorf("status of one:\n%s", out)
		}
	})
}

func TestSecondTermDoesNotWait(t *testing.T) {
	live(t, func(m *machine) {
		m.service("deaf", `exec_start = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]`+"\nshutdown_timeout = \"1m\"")
		m.boot()
		m.do("start", "deaf")
		pid := m.Main("deaf")
		m.Until("deaf", func() bool { return ignores(pid, syscall.SIGTERM) })
		m.Signal(syscall.SIGTERM)
		m.Is("deaf", "stopping")
		began := time.Now()
		m.End(syscall.SIGTERM)
		if d := time.Since(began); d > 8*time.Second {
			m.Errorf("ended %v after the second TERM", d)
		}
	})
}

// The demo checks what it claims; here its claims are checked to be made.
func TestDemoShowsWhatItClaims(t *testing.T) {
	t.Parallel()
	lacks(t, "busybox")
	lacks(t, "ip")
	if os.Getenv("HOTSVC_LIVETEST") != "" {
		t.Skip("not in here")
	}
	cmd := exec.Command("../../scripts/demo")
	cmd.Env = append(os.Environ(), "HOTSVC_BIN="+filepath.Dir(livetest.Program("hotsvc")))
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "namespaces are refused here") {
		t.Skip(strings.TrimSpace(string(out)))
	}
	if err != nil || !strings.Contains(string(out), "10.99.1.") || !strings.Contains(string(out), "stopping") {
		t.Errorf("%v\n%s", err, out)
	}
}
