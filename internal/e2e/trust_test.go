package e2e_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"hotsvc/internal/livetest"
)

func (m *machine) mode(name string, mode fs.FileMode) {
	m.Helper()
	must(m.T, os.Chmod(m.Path(name), mode))
}

// A file that others may write to is left out when the daemon starts, refuses a
// reload, and is told by check; all in the same words.
func TestFilesThatOthersMayWriteAreRefused(t *testing.T) {
	live(t, func(m *machine) {
		m.service("good", `exec_start = ["sleep", "1000"]`+"\nstart_at_boot = true")
		m.service("bad", `exec_start = ["sleep", "1000"]`+"\nstart_at_boot = true")
		m.mode("services/bad.toml", 0o666)
		m.file("rules.d/60-bad.toml", "[[rule]]\nname = \"bad\"\nobject = \"link\"\nmatch = { name = \"lo\" }\nrequire = [\"good\"]\n")
		m.mode("rules.d/60-bad.toml", 0o646)
		const why = ": others may write to "
		problems := []string{
			m.Path("services/bad.toml") + why + m.Path("services/bad.toml") + " (mode 0666): chmod go-w " + m.Path("services/bad.toml"),
			m.Path("rules.d/60-bad.toml") + why + m.Path("rules.d/60-bad.toml") + " (mode 0646): chmod go-w " + m.Path("rules.d/60-bad.toml"),
		}
		m.boot()
		m.Is("good", "up")
		if s := m.Get("bad"); s.State != "down" || len(s.Holds) != 0 {
			m.Errorf("bad: %+v", s)
		}
		for what, said := range map[string]string{
			"the log": m.Said(), "status": m.do("status"), "reload": m.fails(1, "reload"), "check": m.fails(1, "check", m.Dir),
		} {
			for _, p := range problems {
				if !strings.Contains(said, p) {
					m.Errorf("%s does not say %s:\n%s", what, p, said)
				}
			}
		}
		if out := m.fails(1, "why", "bad"); !strings.Contains(out, "bad is down: its file has an error: "+problems[0]) || !strings.Contains(out, "change that: mend that, then") {
			m.Errorf("why bad:\n%s", out)
		}
		m.mode("services/bad.toml", 0o644)
		m.mode("rules.d/60-bad.toml", 0o644)
		m.do("reload")
		m.Is("bad", "up")

		m.mode("services", 0o777) // whoever can write here can put any file here
		if said := m.fails(1, "reload"); strings.Count(said, "others may write to "+m.Path("services")+" (mode 0777)") != 1 {
			m.Errorf("the directory is to be told of once:\n%s", said)
		}
		m.Is("good", "up")
	})
}

func TestSettingsThatOthersMayWriteAreLeftOut(t *testing.T) {
	live(t, func(m *machine) {
		m.file("hotsvc.toml", "log = \"error\"\n")
		m.mode("hotsvc.toml", 0o666)
		m.boot()
		if !strings.Contains(m.Said(), "warn: "+m.Path("hotsvc.toml")+": others may write to ") {
			m.Errorf("said:\n%s", m.Said())
		}
		m.fails(1, "check", m.Dir)
	})
}

// In a tree one service is refused, and the others run.
func TestTreeEntriesThatOthersMayWriteAreRefused(t *testing.T) {
	live(t, func(m *machine) {
		for _, tree := range []string{"sv", "bh", "sysmgr:sm", "hermit:he"} {
			m.services(tree)
		}
		names := []string{"run", "finish", "control", "log", "dir", "link"}
		for _, name := range names {
			m.script("sv/r-"+name+"/run", sleeps)
		}
		m.script("sv/fine/run", sleeps)
		m.script("sv/r-finish/finish", "")
		m.script("sv/r-control/control/h", "")
		m.script("sv/r-log/log/run", "exec cat >/dev/null")
		m.script("away", sleeps)
		must(m.T, os.Remove(m.Path("sv/r-link/run")))
		must(m.T, os.Symlink(m.Path("away"), m.Path("sv/r-link/run")))
		m.script("bh/b/pre", "")
		m.script("bh/b/run", sleeps)
		m.script("sm/s", sleeps)
		m.file("he/h.toml", "id = \"hh\"\nexec_start = [\"sleep\", \"1000\"]\n")
		refused := map[string]string{
			"r-run": "sv/r-run/run", "r-finish": "sv/r-finish/finish", "r-control": "sv/r-control/control/h", "r-log": "sv/r-log/log/run",
			"r-dir": "sv/r-dir", "r-link": "away", "b": "bh/b/pre", "s": "sm/s", "h": "he/h.toml",
		}
		for _, file := range refused {
			m.mode(file, 0o777)
		}
		m.boot()
		m.Is("fine", "up")
		for name, file := range refused {
			why := "others may write to " + m.Path(file) + " (mode 0777): chmod go-w " + m.Path(file)
			for _, verb := range []string{"start", "why"} {
				if out := m.fails(1, verb, name); !strings.Contains(out, why) {
					m.Errorf("%s %s:\n%s", verb, name, out)
				}
			}
			if s := m.Get(name); s.State == "up" || s.Pid != nil {
				m.Errorf("%s runs: %+v", name, s)
			}
		}
		if out, _ := m.try("check", m.Path("sv")); strings.Count(out, "others may write to ") != 6 {
			m.Errorf("check:\n%s", out)
		}
		for _, file := range refused {
			m.mode(file, 0o755)
		}
		m.do("reload")
		for name := range refused {
			if name != "b" && name != "h" {
				m.Is(name, "up")
			}
		}
		m.do("start", "b", "hh")

		m.mode("sv/r-run/run", 0o777) // what runs must not run once more
		m.do("reload")
		m.Is("r-run", "down")
		if out := m.fails(1, "why", "r-run"); !strings.Contains(out, "others may write to ") {
			m.Errorf("why: %s", out)
		}
		m.Is("r-dir", "up")
	})
}

// What belongs to an ordinary user is not run as root, whatever its mode.
func TestFilesOfAnotherUserAreRefused(t *testing.T) {
	t.Parallel()
	livetest.Root(t, func(t *testing.T) {
		mountCgroups(t)
		m := newMachine(t)
		m.services("services")
		m.services("sv")
		m.script("sv/theirs/run", sleeps)
		m.service("native", `exec_start = ["sleep", "1000"]`)
		m.script("home/run", sleeps)
		must(t, os.Symlink(m.Path("home"), m.Path("sv/linked")))
		for _, name := range []string{"sv/theirs/run", "services/native.toml", "home"} {
			must(t, os.Chown(m.Path(name), 12345, 12345))
		}
		m.boot()
		for name, file := range map[string]string{"theirs": "sv/theirs/run", "native": "services/native.toml", "linked": "home"} {
			why := m.Path(file) + " belongs to uid 12345, not to root: chown root " + m.Path(file)
			if out, _ := m.try("why", name); name != "native" && !strings.Contains(out, why) || name == "native" && !strings.Contains(m.Said(), why) {
				m.Errorf("%s: %s", name, out)
			}
			if s := m.Get(name); s.State == "up" {
				m.Errorf("%s runs", name)
			}
		}
		must(t, os.Mkdir(m.Path("stolen"), 0o755))
		must(t, os.Chown(m.Path("stolen"), 12345, 12345))
		if said := m.refused("--run-dir", m.Path("stolen")); !strings.Contains(said, "stolen belongs to uid 12345, not to root: chown root ") {
			m.Error(said)
		}
	})
}

func TestRunDirThatOthersMayWriteIsRefused(t *testing.T) {
	live(t, func(m *machine) {
		must(m.T, os.Mkdir(m.Path("run"), 0o755))
		for mode, want := range map[fs.FileMode]string{
			0o777:                 "others may write to " + m.Path("run") + " (mode 0777): chmod go-w " + m.Path("run") + ", or name another with --run-dir",
			0o777 | fs.ModeSticky: m.Path("run") + " is everybody's (mode 1777): make a directory in it, or name another with --run-dir",
		} {
			m.mode("run", mode)
			if said := m.refused(); !strings.Contains(said, want) {
				m.Errorf("mode %v: %s", mode, said)
			}
			if left, _ := os.ReadDir(m.Path("run")); len(left) != 0 {
				m.Errorf("it has written there: %v", left)
			}
		}
	})
}

// An env_file has a say in what runs, so it is refused alike: beforehand, and at a
// start, for it may have become so.
func TestEnvFileThatOthersMayWriteFailsTheStart(t *testing.T) {
	live(t, func(m *machine) {
		m.file("env", "SECRET=xyzzy\n")
		m.service("a", `exec_start = ["sleep", "1000"]`+"\nenv_file = [\""+m.Path("env")+"\"]")
		m.mode("env", 0o666)
		m.boot()
		refused := func(args ...string) {
			m.Helper()
			if out := m.fails(1, args...); !strings.Contains(out, "env_file: others may write to "+m.Path("env")+" (mode 0666): chmod go-w "+m.Path("env")) {
				m.Errorf("%v said:\n%s", args, out)
			}
		}
		refused("start", "a")
		refused("reload")
		refused("check", m.Dir)
		m.mode("env", 0o600)
		m.do("reload")
		m.Is("a", "up") // who asked for it is not forgotten
		m.do("stop", "a")
		m.mode("env", 0o666)
		refused("start", "a")
		m.mode("env", 0o600)
		m.do("start", "a")
	})
}
