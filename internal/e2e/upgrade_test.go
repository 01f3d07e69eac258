package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

func TestUpgradeIsNotNoticed(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.service("base", m.sleeper("base"))
		m.service("held", m.sleeper("held"))
		m.service("crashes", `exec_start = ["sh", "-c", "sleep 0.3; exit 7"]`+"\nbackoff = { first = \"10ms\", max = \"10ms\" }\n")
		m.boot()
		m.cable("wan0")
		m.do("require", "base", "--as", "me")
		m.do("start", "crashes")
		hold := m.hsctl("hold", "held", "--", "sleep", "1000")
		must(m.T, hold.Start())
		defer func() { hold.Process.Kill(); hold.Wait() }()
		names := []string{"net@wan0", "base", "held"}
		pids := map[string]int{}
		for _, n := range names {
			pids[n] = m.Main(n)
		}
		waiting := m.hsctl("wait", "net@wan1", "--timeout", "60s") // its daemon goes away, and it asks the next
		must(m.T, waiting.Start())
		daemon := m.Pid()
		for i := range 10 {
			if out := m.do("upgrade"); !strings.Contains(out, "upgraded: ") {
				m.Errorf("upgrade says %q", out)
			}
			for _, n := range names {
				if s := m.Get(n); s.State != "up" || *s.Pid != pids[n] || s.Restarts != 0 || len(s.Holds) != 1 {
					m.Fatalf("after upgrade %d: %s is %s, pid %d (before %d), %d restarts, holds %+v", i, n, s.State, *s.Pid, pids[n], s.Restarts, s.Holds)
				}
			}
		}
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", daemon)); string(comm) != "hotsvc\n" {
			m.Errorf("its name is %q", comm)
		}
		if got := m.Pid(); got != daemon || !livetest.Alive(daemon) {
			m.Errorf("the daemon's pid is %d, was %d", got, daemon)
		}
		// Children are still children: their ends are known, with the status.
		before := m.Get("crashes").Restarts
		m.Until("it crashes on, with its status known", func() bool {
			s := m.Get("crashes")
			return s.Restarts > before+1 && s.Exit != nil && s.Exit.Code != nil && *s.Exit.Code == 7
		})
		m.cable("wan1")
		if err := waiting.Wait(); err != nil {
			m.Errorf("the one who waited: %v", err)
		}
		// A hold that a living process has ends with it, as ever.
		hold.Process.Kill()
		m.Is("held", "down")
	})
}

// TestUpgradeUnderLoad: a hundred, while links flap, a service writes and others
// crash. HOTSVC_UPGRADES sets another number.
func TestUpgradeUnderLoad(t *testing.T) {
	live(t, func(m *machine) {
		const lines = 4000
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.service("steady", m.sleeper("steady"))
		m.service("writer", fmt.Sprintf(`exec_start = ["sh", "-c", "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); [ $((i %% 10)) -ne 0 ] || sleep 0.01; done; exec sleep 1000"]`, lines))
		m.boot()
		m.cable("wan0")
		m.do("start", "steady", "writer")
		steady, writer := m.Main("steady"), m.Main("writer")
		stop, flapped := make(chan struct{}), make(chan int)
		go func() {
			n := 0
			for ; ; n++ {
				select {
				case <-stop:
					flapped <- n
					return
				case <-time.After(20 * time.Millisecond):
				}
				exec.Command("ip", "link", "set", "wan0", []string{"down", "up"}[n%2]).Run()
			}
		}()
		upgrades := 25
		if n, err := strconv.Atoi(os.Getenv("HOTSVC_UPGRADES")); err == nil {
			upgrades = n
		}
		var first, last int
		for i := range upgrades {
			m.do("upgrade")
			if i == upgrades/5 {
				first = resident(m.Pid())
			}
			last = resident(m.Pid())
		}
		close(stop)
		m.Logf("%d upgrades, %d flaps, %d kB after a fifth of them and %d kB at the end", upgrades, <-flapped, first, last)
		exec.Command("ip", "link", "set", "wan0", "up").Run()
		m.Is("net@wan0", "up")
		for n, pid := range map[string]int{"steady": steady, "writer": writer} {
			if s := m.Get(n); s.State != "up" || *s.Pid != pid || s.Restarts != 0 {
				m.Errorf("%s is %s with pid %v (before %d), %d restarts", n, s.State, *s.Pid, pid, s.Restarts)
			}
		}
		if last > first+first/2 {
			m.Errorf("the daemon had %d kB and has %d kB", first, last)
		}
		if fds, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(m.Pid()), "fd")); len(fds) > 60 {
			m.Errorf("the daemon has %d descriptors", len(fds))
		}
		m.allLines("writer", lines)
	})
}

// allLines waits for the numbered lines of a service's log and wants each once.
func (m *machine) allLines(name string, n int) {
	m.Helper()
	m.Until("its last line is in the log", func() bool {
		return strings.Contains(m.do("logs", name, "-n", "1"), fmt.Sprintf("line %d\n", n-1))
	})
	next := 0
	for line := range strings.Lines(m.do("logs", name, "-n", "1000000")) {
		_, number, ok := strings.Cut(strings.TrimSpace(line), "line ")
		if got, err := strconv.Atoi(number); !ok || err != nil || got != next {
			m.Fatalf("after line %d comes %q", next-1, line)
		}
		next++
	}
	if next != n {
		m.Errorf("%d lines are there, of %d", next, n)
	}
}

// resident is a process's resident memory in kB.
func resident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// TestUpgradeThatCannotGoOnIsRefused: a wrapper script or /bin/true would end the
// daemon, a FIFO hang it. Each is refused in one line that says what to do.
func TestUpgradeThatCannotGoOnIsRefused(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", m.sleeper("a"))
		m.boot()
		m.do("start", "a")
		pid := m.Main("a")
		m.Until("the record is there", func() bool { _, err := os.Stat(m.Path("run/svc/a")); return err == nil })
		record, err := os.ReadFile(m.Path("run/svc/a"))
		must(m.T, err)
		must(m.T, os.Mkdir(m.Path("directory"), 0o755))
		must(m.T, syscall.Mkfifo(m.Path("fifo"), 0o755))
		must(m.T, os.Symlink(m.Path("none"), m.Path("dangling")))
		hotsvc, none := livetest.Program("hotsvc"), m.Path("none")
		silent, err := exec.LookPath("true")
		must(m.T, err)
		header := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 4096)...) // machine 0: none has that number
		plain := m.file("plain", string(header))
		open := m.file("open", string(header))
		must(m.T, os.Chmod(open, 0o777)) // whatever the umask
		for _, try := range []struct{ binary, says string }{
			{none, none + ": no such file or directory: name the new hotsvc"},
			{m.Path("dangling"), m.Path("dangling") + ": no such file or directory: name the new hotsvc"},
			{m.Path("directory"), m.Path("directory") + " is a directory, no program: name the new hotsvc itself"},
			{m.Path("fifo"), m.Path("fifo") + " is no regular file, so no program: name the new hotsvc itself"},
			{plain, plain + " may not be executed (mode 0644): chmod +x " + plain},
			{open, "others may write to " + open + " (mode 0777): chmod go-w " + open},
			{m.Script("wrapper", "exec "+hotsvc+` "$@"`), m.Path("wrapper") + " is a script: name the program that it runs"},
			{m.File("text", "hotsvc 1.3\n", 0o755), m.Path("text") + " is no ELF program: name the new hotsvc itself"},
			{m.File("foreign", string(header), 0o755), m.Path("foreign") + ": exec format error: name a hotsvc that is whole, and built for " + runtime.GOARCH},
			{silent, silent + " does not answer --check-state as hotsvc does: name a hotsvc"},
		} {
			if out := m.fails(1, "upgrade", try.binary); out != "hsctl: upgrade refused: "+try.says+"\n" {
				m.Errorf("upgrade %s:\n got %q\nwant %q", try.binary, out, try.says)
			}
		}
		m.service("bad", "exec_start = 5\n")
		m.service("worse", "exec_start = 6\n")
		if out := m.fails(1, "upgrade"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "bad.toml:1:14: ") || !strings.Contains(out, "worse.toml:1:14: ") {
			m.Error(out)
		}
		must(m.T, os.Remove(m.Path("services/bad.toml")))
		must(m.T, os.Remove(m.Path("services/worse.toml")))
		// A state of a version that this program does not know.
		m.file("run/svc/a", strings.Replace(string(record), `{"v":`, `{"v":9`, 1))
		if out := m.fails(1, "upgrade"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "the record of a is of version 9") {
			m.Error(out)
		}
		if s := m.Get("a"); s.State != "up" || *s.Pid != pid {
			m.Errorf("a is %s", s.State)
		}
	})
}

// TestUpgradeDoesNotForgetAShutdown: what was down already was started again,
// and what was on its way down, too.
func TestUpgradeDoesNotForgetAShutdown(t *testing.T) {
	live(t, func(m *machine) {
		m.service("quick", m.sleeper("quick"))
		m.service("slow", `exec_start = ["sh", "-c", "trap : TERM; while [ ! -e `+m.Path("end")+` ]; do sleep 0.05; done; exit 0"]`+"\nshutdown_timeout = \"1m\"\n")
		m.boot()
		m.do("start", "quick", "slow")
		slow := m.Main("slow")
		m.Signal(syscall.SIGTERM)
		m.Is("quick", "down")
		m.Is("slow", "stopping")
		if out := m.fails(1, "upgrade"); out != "hsctl: upgrade refused: the daemon stops all services, and then ends: start the new program after that\n" {
			m.Error(out)
		}
		m.file("end", "")
		m.Ended()
		m.Gone(slow)
		if _, after, _ := strings.Cut(m.Said(), "stops all services"); strings.Contains(after, "→ starting") {
			m.Errorf("it starts services while it stops all:\n%s", after)
		}
	})
}

// TestTermJustBeforeAnUpgradeIsHeeded: one that came while the image before this
// one let go of everything, and so had nobody to heed it.
func TestTermJustBeforeAnUpgradeIsHeeded(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", m.sleeper("a"))
		m.boot()
		m.do("start", "a")
		a := m.Main("a")
		m.End(syscall.SIGUSR1)
		next := m.command()
		next.Env = append(os.Environ(), "HOTSVC_SIGNALS=1 15")
		m.Launch(next)
		m.Ended()
		m.Gone(a)
		for _, want := range []string{"reloaded: ", "stops all services"} {
			if !strings.Contains(m.Said(), want) {
				m.Errorf("it does not say %q:\n%s", want, m.Said())
			}
		}
	})
}

// A descriptor that was to be kept and is not open must not be taken for what
// the new image has opened since under its number.
func TestDescriptorsThatAreNotOpenAreNotKept(t *testing.T) {
	live(t, func(m *machine) {
		m.service("talks", `exec_start = ["sh", "-c", "while echo line; do sleep 0.01; done"]`)
		m.file("hotsvc.toml", "")
		cmd := m.command()
		cmd.Env = append(cmd.Environ(), "HOTSVC_INHERIT=output=3 control=4 output=5 output=6 output=7 output=8 output=9")
		m.Start(cmd)
		m.do("start", "talks")
		m.do("upgrade")
		m.Until("it talks on", func() bool { return len(m.log("talks")) > 100 })
	})
}

// A recording goes on in a file of its own with each daemon, and each replays.
func TestRecordingFollowsEveryDaemon(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", m.sleeper("a"))
		m.boot()
		m.do("start", "a")
		file := m.Path("rec")
		begun := func(before os.FileInfo) (now os.FileInfo) {
			m.Until("a journal begins", func() bool {
				info, err := os.Stat(file)
				now = info
				return err == nil && info.Size() > 0 && !os.SameFile(before, info)
			})
			return now
		}
		record := m.hsctl("record", file)
		must(m.T, record.Start())
		now := begun(nil)
		for _, change := range []func(){
			func() { m.do("upgrade") },
			func() { m.End(syscall.SIGKILL); m.boot() },
			func() { m.do("upgrade") },
		} {
			change()
			now = begun(now)
			m.do("restart", "a")
			for _, name := range []string{file, file + ".1"} {
				if text, _ := os.ReadFile(name); strings.Count(string(text), `{"journal":`) != 1 {
					m.Errorf("%s has not one beginning:\n%.2000s", name, text)
				}
				m.do("replay", name)
			}
		}
		must(m.T, record.Process.Signal(syscall.SIGINT))
		must(m.T, record.Wait())
	})
}

func TestEditorsMistakeAndACrashLoseNothing(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.service("a", m.sleeper("a"))
		m.boot()
		m.cable("wan0")
		m.do("start", "a")
		pids := map[string]int{"net@wan0": m.Main("net@wan0"), "a": m.Main("a")}
		// Somebody is in the middle of an edit when the daemon dies.
		m.service("a", "exec_start = [\"sh\", ")
		m.rules("[[rule]]\nname = 'half\n")
		m.service("new", "exec_start = 'half")
		m.End(syscall.SIGKILL)
		m.boot()
		for n, pid := range pids {
			if s := m.Is(n, "up"); *s.Pid != pid || s.Want != "up" {
				m.Errorf("%s has pid %d (before %d), want %s", n, *s.Pid, pid, s.Want)
			}
		}
		const inForce = "the last good configuration of this boot is in force"
		if r := m.report(); len(r.Config.Problems) < 2 || !slices.ContainsFunc(r.Degraded, func(d string) bool { return strings.Contains(d, inForce) }) {
			m.Errorf("degraded %q, problems: %v", r.Degraded, r.Config.Problems)
		}
		if out := m.do("status"); !strings.Contains(out, "degraded: "+inForce) {
			m.Errorf("status does not say what is in force:\n%s", out)
		}
		if out := m.fails(3, "why", "new"); !strings.Contains(out, "no service new: its file has an error: "+m.Path("services/new.toml:1:")) {
			m.Errorf("why new:\n%s", out)
		}
		if !strings.Contains(m.Said(), "goes on with the last good one of this boot") {
			m.Error("the log does not say so")
		}
		m.remove("wan0")
		m.Gone(pids["net@wan0"])
	})
}
