package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
	"hotsvc/internal/status"
)

// services adds a tree of services to those that the daemon reads: "runit:sv".
func (m *machine) services(text string) {
	m.Helper()
	dialect, name, ok := strings.Cut(text, ":")
	if !ok {
		dialect, name = "", text
	}
	must(m.T, os.MkdirAll(m.Path(name), 0o755))
	m.args = append(m.args, "--services", strings.TrimPrefix(dialect+":", ":")+m.Path(name))
}

// script writes an executable that tells the journal who it is and what it was
// given, and goes on as the rest says.
func (m *machine) script(name, rest string) {
	m.Helper()
	m.file(name, fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\n%s\n", name, m.Path("journal"), rest))
	must(m.T, os.Chmod(m.Path(name), 0o755))
}

const sleeps = "exec sleep 1000"

// told waits until the journal has a line.
func (m *machine) told(line string) {
	m.Helper()
	m.Until(line+" in the journal", func() bool { return slices.Contains(m.lines("journal"), line) })
}

// count is how often the journal has a line.
func (m *machine) count(line string) (n int) {
	for _, l := range m.lines("journal") {
		if l == line {
			n++
		}
	}
	return n
}

// known tells whether there is a service of that name, and in which state.
func (m *machine) known(name string) string {
	m.Helper()
	for _, s := range m.report().Services {
		if s.Name == name {
			return s.State
		}
	}
	return ""
}

// running is the pid of a service that is up, or 0.
func (m *machine) running(name string) int {
	m.Helper()
	for _, s := range m.report().Services {
		if s.Name == name && s.State == "up" && s.Pid != nil {
			return *s.Pid
		}
	}
	return 0
}

// One daemon runs four trees; a rule requires a service of each alike, and
// people see all alike.
func TestFourDialectsInOneDaemon(t *testing.T) {
	live(t, func(m *machine) {
		for _, tree := range []string{"sv", "bh", "sysmgr:sm", "hermit:he"} {
			m.services(tree)
		}
		m.script("sv/web/run", "echo web in $PWD >>"+m.Path("journal")+"\n"+sleeps)
		m.script("sv/web/finish", "")
		m.file("sv/web/down", "")
		m.script("bh/net/pre", "")
		m.script("bh/net/run", sleeps)
		m.script("bh/net/post", "")
		m.script("sm/prog", "echo $SYSDIR $RUNDIR >>"+m.Path("journal")+"; test -d $RUNDIR && "+sleeps)
		m.file("he/x.toml", "id = \"app\"\nexec_start = [\"sh\", \"-c\", \"echo app >>"+m.Path("journal")+"; exec sleep 1000\"]\n")
		m.rules(strings.Replace(cableRule, `"net@{name}"`, `"web", "net@{name}", "prog", "app"`, 1))
		m.boot()
		m.Main("prog") // starts at boot, as its dialect has it
		m.Main("app")
		m.Is("web", "down") // before anything holds it
		m.Is("net", "down")
		m.cable("wan0")
		all := []string{"web", "net@wan0", "prog", "app"}
		dialects := map[string]string{}
		for _, name := range all {
			m.Main(name)
			m.Until(name+" is held by the rule", func() bool {
				return slices.ContainsFunc(m.Get(name).Holds, func(h status.Hold) bool { return h.Holder == "rule:cable" })
			})
			dialects[name] = m.Get(name).Definition.Dialect
			if why := m.do("why", name); !strings.Contains(why, "cable") || !strings.Contains(why, "wan0") {
				m.Errorf("why %s:\n%s", name, why)
			}
		}
		if got := fmt.Sprint(dialects); got != "map[app:hermit net@wan0:backhand prog:sysmgr web:runit]" {
			m.Error(got)
		}
		m.told("bh/net/pre wan0")
		m.told("bh/net/run wan0")
		m.told("sm/prog " + m.Path("sm/prog"))
		m.told(m.Path("sm") + " " + m.Path("run/sysmgr"))
		m.told("sv/web/run")
		m.told("web in " + m.Path("sv/web"))
		m.pull("wan0")
		m.Is("web", "down")
		m.Is("net@wan0", "down")
		m.told("sv/web/finish -1 15")
		m.told("bh/net/post wan0")
		m.Main("prog")
		m.Main("app")
	})
}

// What comes into a tree runs within the second, and what goes is stopped and
// forgotten.
func TestTreesArePickedUpAtOnce(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.services("sysmgr:sm")
		m.services("hermit:he")
		m.boot()
		var took []time.Duration
		soon := func(what string, cond func() bool) {
			m.Helper()
			begin := time.Now()
			m.Until(what, cond)
			took = append(took, time.Since(begin))
		}
		m.script(".new/web/run", sleeps)
		must(t, os.Rename(m.Path(".new/web"), m.Path("sv/web")))
		soon("web runs", func() bool { return m.known("web") == "up" })
		m.script("sv/slow/run", sleeps) // not all at once
		soon("slow runs", func() bool { return m.known("slow") == "up" })
		m.script("sm/prog", sleeps)
		soon("prog runs", func() bool { return m.known("prog") == "up" })
		m.file("he/app.toml", `exec_start = ["sleep", "1000"]`)
		soon("app runs", func() bool { return m.known("app") == "up" })
		pid := m.Main("app")
		m.file("he/app.toml", `exec_start = ["sleep", "1001"]`)
		soon("app is another one", func() bool { now := m.running("app"); return now != 0 && now != pid })
		pid = m.Main("app")
		m.file("he/app.toml", `exec_start = "sleep 1002"`)
		soon("the mistake is told", func() bool {
			return strings.Contains(m.do("status"), m.Path("he/app.toml")+":1:14: ")
		})
		if got := m.Main("app"); got != pid {
			m.Error("a mistake in its file restarted app")
		}

		must(t, os.Rename(m.Path("sv/web"), m.Path("sv/.web")))
		soon("web is gone", func() bool { return m.known("web") == "" })
		must(t, os.Rename(m.Path("sv/.web"), m.Path("sv/web")))
		soon("web runs again", func() bool { return m.known("web") == "up" })
		pids := map[string]int{"web": m.Main("web"), "slow": m.Main("slow")}
		must(t, os.Remove(m.Path("sm/prog")))
		soon("prog is gone", func() bool { return m.known("prog") == "" })
		must(t, os.Remove(m.Path("he/app.toml")))
		soon("app is gone", func() bool { return m.known("app") == "" })

		// What a service's directory says matters when the service starts.
		generation := m.report().Config.Generation
		m.script("sv/web/run", "exec sleep 2000")
		m.file("sv/web/down", "")
		m.script("sv/slow/finish", "")
		m.Until("finish was seen", func() bool { return m.report().Config.Generation > generation })
		for name, pid := range pids {
			if got := m.Main(name); got != pid {
				m.Errorf("%s was restarted", name)
			}
		}
		m.do("restart", "slow") // this run has no finish yet
		m.do("restart", "slow")
		m.told("sv/slow/finish -1 15")

		// The whole tree is replaced.
		m.script("next/db/run", sleeps)
		must(t, os.Rename(m.Path("sv"), m.Path("old")))
		must(t, os.Rename(m.Path("next"), m.Path("sv")))
		soon("the new tree runs", func() bool { return m.known("db") == "up" && m.known("web") == "" && m.known("slow") == "" })
		slices.Sort(took) // the machine may be busy for once
		if median := took[len(took)/2]; median > time.Second {
			m.Errorf("it takes %v to pick a change up", median)
		}
	})
}

// W-RV-3: after a package is taken out and put in again, the new one runs.
func TestReinstalledDirectoryRunsTheNewOne(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.script("sv/web/run", "cd /\n"+sleeps) // its directory is not held by being in it
		m.boot()
		for range 5 {
			pid := m.Main("web")
			m.Until("it is removed", func() bool { return os.RemoveAll(m.Path("sv/web")) == nil })
			m.script("sv/web/run", "cd /\n"+sleeps)
			m.Until("the new web runs", func() bool { now := m.running("web"); return now != 0 && now != pid })
			m.Gone(pid)
		}
	})
}

// A linked directory under another name is an instance with a directory, and a
// name, of its own (EX-4).
func TestLinkedInstances(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.script("pkg/getty_tty1/run", "echo ${PWD##*/} as $(/bin/pwd) >>"+m.Path("journal")+"; touch mine; "+sleeps)
		must(t, os.Symlink(m.Path("pkg/getty_tty1"), m.Path("sv/getty_tty1")))
		must(t, os.Symlink(m.Path("pkg/getty_tty1"), m.Path("sv/getty_tty2")))
		m.boot()
		m.Main("getty_tty1")
		m.Main("getty_tty2")
		m.told("getty_tty1 as " + m.Path("pkg/getty_tty1"))
		m.told("getty_tty2 as " + m.Path("run/service/getty_tty2"))
		m.script("pkg/getty_tty1/run", "echo new ${PWD##*/} >>"+m.Path("journal")+"; test -e mine && "+sleeps)
		m.do("restart", "getty_tty2")
		m.told("new getty_tty2")
		m.Main("getty_tty2")
		must(t, os.Remove(m.Path("sv/getty_tty2")))
		m.Until("the instance is gone", func() bool { return m.known("getty_tty2") == "" })
		m.Main("getty_tty1")
	})
}

// RV-12: control/u runs before each start, and the service starts whatever comes
// of it.
func TestControlUBeforeEachStart(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.script("sv/web/control/u", "exit 1")
		m.script("sv/web/run", sleeps)
		m.boot()
		m.Main("web")
		m.do("restart", "web")
		m.told("sv/web/run")
		m.Until("both starts", func() bool { return m.count("sv/web/run") == 2 })
		if got := strings.Join(m.lines("journal"), ","); got != "sv/web/control/u,sv/web/run,sv/web/control/u,sv/web/run" {
			m.Error(got)
		}
	})
}

// Every kind of bad input is an error that names the file; the rest is unharmed.
func TestBadTreesHarmNobody(t *testing.T) {
	live(t, func(m *machine) {
		m.services("runit:sv")
		m.services("hermit:he")
		m.script("sv/good/run", sleeps)
		m.file("sv/nox/run", "#!/bin/sh\n")
		must(t, os.Symlink("loop", m.Path("sv/loop")))
		must(t, os.Symlink("/nowhere", m.Path("sv/lost")))
		must(t, os.Mkdir(m.Path("sv/empty"), 0o755))
		m.file("he/bad.toml", "exec_start = [\"x\"]\nnobody_knows = 1\n")
		m.file("he/ok.toml", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.Main("good")
		m.Main("ok")
		said := m.do("status")
		for name, text := range map[string]string{
			"nox": "sv/nox/run is no executable file: chmod +x", "loop": "sv/loop is a link to loop", "lost": "sv/lost is a link to /nowhere",
			"empty": "sv/empty/run is not there", "bad": "he/bad.toml",
		} {
			if why := m.fails(1, "why", name); !strings.Contains(why, text) {
				m.Errorf("why %s does not say %q:\n%s", name, text, why)
			}
			if file, _, _ := strings.Cut(text, " "); !strings.Contains(said, m.Path(file)) {
				m.Errorf("status does not name %s:\n%s", file, said)
			}
		}
		m.do("reload") // is not refused for them
		must(t, os.Chmod(m.Path("sv/nox/run"), 0o755))
		m.file("sv/nox/run", "#!/bin/sh\n"+sleeps)
		m.Until("the remedy helps", func() bool { return m.known("nox") == "up" })
		// A program that is being replaced is missing for a moment.
		pid := m.Main("good")
		must(t, os.Remove(m.Path("sv/good/run")))
		m.Until("that is told", func() bool { return strings.Contains(m.do("status"), m.Path("sv/good/run")) })
		m.script("sv/good/run", sleeps)
		m.Until("and that it is over", func() bool { return !strings.Contains(m.do("status"), m.Path("sv/good/run")) })
		if m.Main("good") != pid {
			m.Error("good was restarted")
		}
	})
}

// A broken native file keeps a reload away, and nothing that comes in a tree.
func TestTreesDoNotWaitForNativeFiles(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.service("a", m.sleeper("a")+"needs = [\"web\"]\n")
		m.script("sv/web/run", sleeps)
		m.boot()
		m.do("start", "a")
		pid := m.Main("a")
		m.service("a", "exec_start = 5")
		m.script("sv/db/run", sleeps)
		m.Until("db runs", func() bool { return m.known("db") == "up" })
		if m.Main("a") != pid {
			m.Error("a is another one")
		}
		m.fails(1, "reload")
		must(t, os.Rename(m.Path("sv/web"), m.Path("web"))) // a needs it
		m.Until("a waits for web", func() bool { return m.known("a") == "down" })
		if why := m.fails(1, "why", "a"); !strings.Contains(why, "web") || !strings.Contains(why, "put it back") {
			m.Errorf("why a:\n%s", why)
		}
		must(t, os.Rename(m.Path("web"), m.Path("sv/web")))
		m.Until("a is back", func() bool { return m.known("a") == "up" })
	})
}

// The next daemon takes over what runs from a tree, also while somebody edits
// its files.
func TestTreesAreAdopted(t *testing.T) {
	live(t, func(m *machine) {
		m.services("sv")
		m.services("sysmgr:sm")
		m.services("hermit:he")
		m.script("sv/web/run", sleeps)
		m.script("sv/db/run", sleeps)
		m.script("sm/prog", sleeps)
		m.file("he/x.toml", "id = \"app\"\nexec_start = [\"sleep\", \"1000\"]\n")
		m.boot()
		pids := map[string]int{}
		for _, name := range []string{"web", "db", "prog", "app"} {
			pids[name] = m.Main(name)
		}
		m.End(syscall.SIGUSR1)
		m.script("sv/late/run", sleeps)
		must(t, os.Chmod(m.Path("sv/db/run"), 0o644))
		m.file("he/x.toml", "id = \"app\"\nexec_start = \n")
		m.boot()
		m.Main("late")
		for name, pid := range pids {
			if m.Main(name) != pid {
				m.Errorf("%s was started anew", name)
			}
		}
		said := m.do("status")
		for _, file := range []string{"sv/db/run", "he/x.toml"} {
			if !strings.Contains(said, m.Path(file)) {
				m.Errorf("status does not name %s:\n%s", file, said)
			}
		}
	})
}

// Debian's own directories, and those of busybox's form, load as they are.
func TestTreesOfDistributions(t *testing.T) {
	out, err := exec.Command("../../scripts/runit").Output()
	if err != nil {
		t.Skipf("Debian's runit cannot be had here: %v", err)
	}
	check := func(tree, want string) {
		t.Helper()
		out, err := exec.Command(livetest.Program("hsctl"), "check", tree).CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning") || !strings.Contains(string(out), want) {
			t.Errorf("check %s: %v\n%s", tree, err, out)
		}
	}
	sv := filepath.Join(strings.TrimSpace(string(out)), "etc/sv")
	entries, err := os.ReadDir(sv)
	must(t, err)
	if len(entries) < 8 { // getty-run's are among them
		t.Fatal(entries)
	}
	check(sv, fmt.Sprintf("%s: %d in the form of runit\n", sv, len(entries)))
	dir := t.TempDir()
	for _, f := range []string{"getty_tty1/run", "dhcp_if/run", "dhcp_if/finish", "dhcp_if/dhcp_handler", "dhcp_if/log/run", "fw/run", "fw/stat", "std_service_logger"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, f), []byte("#!/bin/sh\n"), 0o755))
	}
	check(dir, dir+": 3 in the form of runit\n")
}
