package e2e_test

import (
	"strings"
	"syscall"
	"testing"
)

func TestReloadOfUnchangedFilesRestartsNothing(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.service("a", m.sleeper("a"))
		m.service("b", m.sleeper("b"))
		m.boot()
		m.cable("wan0")
		m.do("start", "a", "b")
		pids := map[string]int{"net@wan0": m.Main("net@wan0"), "a": m.Main("a"), "b": m.Main("b")}
		same := func(names ...string) {
			m.Helper()
			for _, n := range names {
				if got := m.Main(n); got != pids[n] || m.Get(n).Restarts != 0 {
					m.Errorf("%s has pid %d, before %d", n, got, pids[n])
				}
			}
		}
		generation := m.report().Config.Generation
		for range 3 {
			m.do("reload")
		}
		m.Signal(syscall.SIGHUP)
		m.Until("four reloads", func() bool { return m.report().Config.Generation == generation+4 })
		same("net@wan0", "a", "b")
		// A comment and a new description change nothing that runs.
		m.service("a", "# a comment\n"+m.sleeper("a")+"description = \"another\"\n")
		m.do("reload")
		same("net@wan0", "a", "b")
		// One that is changed restarts alone.
		m.service("a", m.sleeper("a-new"))
		m.do("reload")
		m.Until("a runs anew", func() bool { s := m.Get("a"); return s.State == "up" && *s.Pid != pids["a"] })
		same("net@wan0", "b")
		begun := func() int { return strings.Count(strings.Join(m.lines("journal"), ","), "start") }
		m.Until("all four told", func() bool { return begun() >= 4 })
		if out := strings.Join(m.lines("journal"), ","); begun() != 4 {
			m.Errorf("journal: %s", out)
		}
	})
}

func TestReloadWithAProblemIsRefusedWhole(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", m.sleeper("a"))
		m.boot()
		m.do("start", "a")
		pid := m.Main("a")
		m.service("a", m.sleeper("a-new"))
		m.service("bad", "exec_start = \"udhcpc -f\"\nlingr = 5\n")
		m.rules("[[rules]]\nname = 'x'\n")
		out := m.fails(1, "reload")
		for _, where := range []string{m.Path("services/bad.toml") + ":1:14: ", m.Path("services/bad.toml") + ":2:1: ", m.Path("rules.d/50-test.toml") + ":1:"} {
			if !strings.Contains(out, where) {
				m.Errorf("reload does not name %s:\n%s", where, out)
			}
		}
		if got := m.Main("a"); got != pid || m.report().Config.Generation != 1 {
			m.Errorf("pid %d, before %d; generation %d", got, pid, m.report().Config.Generation)
		}
		m.Signal(syscall.SIGHUP)
		m.Until("the log tells it too", func() bool { return strings.Contains(m.Said(), "reload refused") })
		if got := m.Main("a"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		// At start only the file with the problem is skipped.
		m.End(syscall.SIGTERM)
		m.boot()
		m.do("start", "a")
		r := m.report()
		if len(r.Config.Problems) < 3 {
			m.Errorf("problems: %v", r.Config.Problems)
		}
		if out := m.do("status"); !strings.Contains(out, "bad.toml:1:14") {
			m.Errorf("status does not show the problems:\n%s", out)
		}
	})
}

func TestRuleThatIsGoneLetsGo(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.rules("")
		m.do("reload")
		m.Is("net@wan0", "down")
		m.rules(cableRule)
		m.do("reload")
		m.Is("net@wan0", "up")
	})
}
