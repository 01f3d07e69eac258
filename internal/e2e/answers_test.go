package e2e_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestExitStatusesAndOneLineErrors(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.service("slow", "exec_start = [\"sleep\", \"1000\"]\nready = \"check\"\ncheck = [\"false\"]")
		m.boot()
		for _, c := range []struct {
			code int
			args string
			says string
		}{
			{0, "status", "a"},
			{0, "status nothing-like-it*", ""},
			{3, "status nothing", "nothing"},
			{3, "start nothing", "no service nothing"},
			{3, "start net@", "which instance"},
			{3, "start net", "which instance"},
			{3, "start lo", "lo is a link"},
			{100, "strat a", "start"},
			{100, "start", "which service"},
			{100, "enable a", "start_at_boot"},
			{100, "start a --timeout 5", "unit"},
			{1, "release a", "does not hold"},
			{1, "wait a --timeout 0", ""},
			{2, "wait a --timeout 200ms", "a"},
			{2, "start slow --timeout 300ms", "slow"},
			{1, "reload-service a", "reload_signal"},
			{1, "why a", "nothing holds it"},
			{1, "restart a", "a"},
			{0, "wait a --for down", ""},
			{0, "start a", "a: up"},
			{0, "wait a --timeout 0", ""},
			{0, "restart a", "a: up"},
			{0, "status net@nowhere", "nothing holds it"},
			{0, "completion bash", ""},
			{0, "version", ""},
		} {
			out, code := m.try(strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.says) {
				m.Errorf("hsctl %s: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.says, out)
			}
			if code > 1 && strings.Count(out, "\n") != 1 {
				m.Errorf("hsctl %s: not one line:\n%s", c.args, out)
			}
		}
	})
}

func TestNoDaemonIsOneLineAnd111(t *testing.T) {
	live(t, func(m *machine) {
		for _, verb := range []string{"status", "start", "why", "stopall", "reload", "monitor"} {
			args := []string{verb}
			if verb == "start" || verb == "why" {
				args = append(args, "a")
			}
			if out := m.fails(111, args...); strings.Count(out, "\n") != 1 || !strings.Contains(out, m.Path("run/control")) {
				m.Errorf("%s:\n%s", verb, out)
			}
		}
	})
}

func TestCheckNamesEveryProblemAtOnce(t *testing.T) {
	live(t, func(m *machine) {
		m.file("hotsvc.toml", "")
		m.service("a", "exec_start = [\"sleep\", \"1000\"]\nneeds = [\"b\"]")
		m.service("b", "exec_start = [\"sleep\", \"1000\"]\nafter = [\"a\"]")
		m.service("c", "exec_start = \"sleep 1000\"")
		m.rules("[[rule]]\nname = \"x\"\nobject = \"net\"\nrequire = [\"d@{interface}\"]\nlinger = 5\n")
		out, err := m.command("--check").CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
			m.Errorf("--check: %v", err)
		}
		for _, part := range []string{"b.toml:2:10: ", "a → b → a", "c.toml:1:14: ", "50-test.toml:3:", "50-test.toml:4:", "50-test.toml:5:"} {
			if !strings.Contains(string(out), part) {
				m.Errorf("no %s in:\n%s", part, out)
			}
		}
		must(m.T, os.RemoveAll(m.Path("rules.d")))
		must(m.T, os.Mkdir(m.Path("rules.d"), 0o755))
		m.service("b", "exec_start = [\"sleep\", \"1000\"]")
		m.service("c", "exec_start = [\"sleep\", \"1000\"]")
		if out, err := m.command("--check").CombinedOutput(); err != nil {
			m.Errorf("--check: %v\n%s", err, out)
		}
	})
}

func TestReleasedDuringBackoffIsNotStartedLater(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sh", "-c", "echo x >>`+m.Path("starts")+`; exit 3"]`+"\n"+`backoff = { first = "300ms", max = "300ms" }`)
		m.boot()
		m.do("require", "a", "--as", "me", "--no-wait")
		m.Is("a", "backoff")
		m.do("release", "a", "--as", "me")
		m.Is("a", "down")
		n := len(m.lines("starts"))
		m.never("a start after the release", 2*quiet, func() bool { return len(m.lines("starts")) != n })
	})
}

func TestStopAndStartJustAfterACrashEndsUp(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`+"\n"+`backoff = { first = "20s" }`)
		m.boot()
		m.do("start", "a")
		must(m.T, unix.Kill(m.Main("a"), unix.SIGKILL))
		m.do("stop", "a")
		m.do("start", "a", "--timeout", "5s")
		m.Main("a")
	})
}

func TestSilentMonitorHarmsNobody(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		cmd := m.hsctl("monitor")
		must(m.T, cmd.Start())
		defer cmd.Wait()
		defer cmd.Process.Kill()
		m.Until("it asks", func() bool { return waits(cmd) })
		must(m.T, cmd.Process.Signal(unix.SIGSTOP))
		m.do("start", "a")
		for range 30 {
			m.do("restart", "a", "--no-wait", "--timeout", "5s")
			m.do("start", "a")
		}
		m.do("status", "a")
	})
}
