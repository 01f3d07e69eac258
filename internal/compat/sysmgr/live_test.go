package sysmgr_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
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

func pid(m *livetest.Machine, name string) int {
	m.Helper()
	s := m.Is(name, "up")
	if s.Pid == nil {
		m.Fatalf("%s is up without a process: %+v", name, s)
	}
	return *s.Pid
}

func gone(m *livetest.Machine, pid int) {
	m.Helper()
	m.Until("process "+strconv.Itoa(pid)+" is gone", func() bool { return !livetest.Alive(pid) })
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
		first := pid(m, "sshd")
		m.Until("it has run twice", func() bool { return len(m.Lines("noted")) >= 2 })
		line := "1 " + m.Path("sys/ends") + " " + m.Path("sys") + " " + m.Path("run/sysmgr")
		if got := m.Lines("noted"); got[0] != line || got[1] != line {
			t.Errorf("it saw %q, want %q", got, line)
		}
		if got := pid(m, "sshd"); got != first {
			t.Errorf("sshd was %d and is %d", first, got)
		}
		syscall.Kill(first, syscall.SIGKILL)
		m.Until("another sshd", func() bool {
			s := m.Service("sshd")
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
		sshd := pid(m, "sshd")
		m.Script("sys/new", "exec sleep 1000")
		m.Until("new runs", func() bool { return m.Run("svctl", "status", "new").Err == "new: UP\n" })
		if err := os.Remove(m.Path("sys/sshd")); err != nil {
			t.Fatal(err)
		}
		gone(m, sshd)
		svctl(m, 1, "Couldn't start sshd\n", "start", "sshd")
	})
}

// TestUpAndDown: stop and start, under both names and by path, and what they do
// where there is nothing to do (SM-30, SM-32, SM-33, SM-35).
func TestUpAndDown(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/crond", "exec sleep 1000")
		boot(m)
		sshd := pid(m, "sshd")
		pid(m, "crond")
		path := m.Path("sys/sshd")
		svctl(m, 0, "sshd: UP\n"+path+": UP\n", "status", "sshd", path)
		svctl(m, 0, "", "start", "sshd", "crond")
		if now := pid(m, "sshd"); now != sshd {
			t.Errorf("sshd was %d and is %d", sshd, now)
		}
		svctl(m, 0, "", "stop", path)
		svctl(m, 1, "sshd: DOWN\ncrond: UP\n", "stat", "sshd", "crond")
		gone(m, sshd)
		m.Is("sshd", "down")
		svctl(m, 0, "", "down", "sshd", "crond")
		m.Is("crond", "down")
		svctl(m, 0, "", "up", "crond", "sshd")
		pid(m, "crond")
		pid(m, "sshd")
		svctl(m, 0, "crond: UP\nsshd: UP\n", "status", "crond", "sshd")
	})
}

// TestStoppedStaysStopped, also when the daemon dies: the lock was a file, and is
// now what the daemon remembers (SM-10).
func TestStoppedStaysStopped(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		boot(m)
		pid(m, "sshd")
		svctl(m, 0, "", "stop", "sshd")
		m.Is("sshd", "down")
		m.Crash()
		boot(m)
		svctl(m, 1, "sshd: DOWN\n", "status", "sshd")
		svctl(m, 0, "", "start", "sshd")
		pid(m, "sshd")
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
		first := pid(m, "sshd")
		svctl(m, 0, "", "restart", "sshd")
		if livetest.Alive(first) {
			t.Error("restart came back before the process was gone")
		}
		second := pid(m, "sshd")
		svctl(m, 0, "", "stop", "sshd")
		gone(m, second)
		m.Is("sshd", "down")
		svctl(m, 0, "", "restart", "sshd")
		pid(m, "sshd")
		runs(3)
		svctl(m, 0, "", "once", "sshd")
		svctl(m, 0, "", "restart", "sshd")
		pid(m, "sshd")
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
		main := pid(m, "deaf")
		m.Until("its child is noted, and it is deaf", func() bool { return len(m.Lines("noted")) == 1 && ignoresTERM(main) })
		child, _ := strconv.Atoi(m.Lines("noted")[0])
		svctl(m, 0, "", "kill", "deaf")
		gone(m, main)
		m.Is("deaf", "down")
		gone(m, child)
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
		first := pid(m, "sshd")
		svctl(m, 0, "", "once", "sshd")
		svctl(m, 0, "sshd: UP\n", "status", "sshd")
		if now := pid(m, "sshd"); now != first {
			t.Errorf("sshd was %d and is %d", first, now)
		}
		syscall.Kill(first, syscall.SIGTERM)
		m.Is("sshd", "down")
		svctl(m, 1, "sshd: DOWN\n", "status", "sshd")
		svctl(m, 0, "", "once", "sshd")
		second := pid(m, "sshd")
		syscall.Kill(second, syscall.SIGTERM)
		m.Is("sshd", "down")
		svctl(m, 0, "", "start", "sshd")
		pid(m, "sshd")
	})
}

// TestDepends: it looks for the files before it waits, and then waits for one
// after the other, without starting or holding any (SM-40, SM-41, SM-42).
func TestDepends(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/dbus", "exec sleep 1000")
		m.Script("sys/app", `sysmgr-depends dbus sshd || exit 1; echo app >> "$NOTED"; exec sleep 1000`)
		m.Script("sys/odd", `sysmgr-needs nothing >> "$NOTED" 2>&1; exec sleep 1000`)
		for name, exit := range map[string]int{"sysmgr-depends": 0, "sysmgr-needs": 1} {
			for _, args := range [][]string{nil, {"-h"}} {
				if r := m.Run(name, args...); r.Exit != exit || !strings.HasPrefix(r.Out, "usage: "+name+" ") || r.Err != "" {
					t.Errorf("%s %q: %+v", name, args, r)
				}
			}
			m.Says(1, "", "service file for 'nothing' could not be found\n", name, "dbus", "nothing")
		}
		boot(m)
		m.Until("app and odd have noted it", func() bool {
			got := m.Lines("noted")
			return slices.Contains(got, "app") && slices.Contains(got, "service file for 'nothing' could not be found")
		})
		if s := m.Service("dbus"); len(s.Holds) != 1 || s.Holds[0].Holder != "boot" {
			t.Errorf("dbus is held by %+v", s.Holds)
		}
		svctl(m, 0, "", "stop", "dbus")
		m.Is("dbus", "down")
		said, err := os.Create(m.Path("said"))
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		wait := m.Command("sysmgr-depends", "sshd", "dbus")
		wait.Stderr = said
		if err := wait.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- wait.Wait() }()
		m.Until("it waits", func() bool { return sleeps(wait) })
		m.Crash()
		m.Until("it waits for a daemon, too", func() bool { return len(m.Lines("said")) == 1 })
		boot(m)
		if s := m.Is("dbus", "down"); s.Want != "down" {
			t.Errorf("sysmgr-depends wants dbus %s", s.Want)
		}
		select {
		case err := <-ended:
			t.Fatalf("sysmgr-depends came back: %v", err)
		default:
		}
		svctl(m, 0, "", "start", "dbus")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// sleeps tells whether a command waits for an answer: it has the daemon's socket.
func sleeps(cmd *exec.Cmd) bool {
	dir := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "fd")
	open, _ := os.ReadDir(dir)
	return slices.ContainsFunc(open, func(fd os.DirEntry) bool {
		to, _ := os.Readlink(filepath.Join(dir, fd.Name()))
		return strings.HasPrefix(to, "socket:")
	})
}

// TestGettyPattern: a script that starts its program in the background, writes
// its pid to RUNDIR and waits, to do something afterwards (SM-12). The file is of
// no use to hotsvc, which knows the script's processes, and of no harm.
func TestGettyPattern(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/getty", `setsid sleep 1000 &
mkdir -p "$RUNDIR/getty"
echo $! > "$RUNDIR/getty/pid"
echo $! >> "$NOTED"
wait
echo after >> "$NOTED"`)
		boot(m)
		m.Until("getty has noted its program", func() bool { return len(m.Lines("noted")) == 1 })
		program, _ := strconv.Atoi(m.Lines("noted")[0])
		svctl(m, 0, "getty: UP\n", "status", "getty")
		syscall.Kill(program, syscall.SIGTERM) // somebody logs out
		m.Until("it comes again", func() bool { return len(m.Lines("noted")) == 3 })
		if got := m.Lines("noted"); got[1] != "after" {
			t.Errorf("noted %q", got)
		}
		program, _ = strconv.Atoi(m.Lines("noted")[2])
		svctl(m, 0, "", "stop", "getty")
		m.Is("getty", "down")
		gone(m, program)
	})
}

// TestCheckprocess (SM-43; W-SM-6: neither 0 nor garbage is a process).
func TestCheckprocess(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Says(0, "", "", "checkprocess", strconv.Itoa(os.Getpid()))
		cmd := m.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		m.Says(1, "", "", "checkprocess", strconv.Itoa(cmd.Process.Pid))
		for _, arg := range []string{"", "0", "-1", "x"} {
			m.Says(1, "", "usage: checkprocess PID\n", "checkprocess", arg)
		}
		m.Says(1, "", "usage: checkprocess PID\n", "checkprocess")
	})
}

// TestRunsyssv runs a service one time and stays until its end (SM-20 to SM-23).
func TestRunsyssv(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.File("native/job.toml", `exec_start = ["sleep", "1000"]`, 0o644)
		m.Boot("sysmgr:"+m.Path("sys"), m.Path("native"))
		for _, c := range []struct {
			exit int
			args []string
		}{{1, nil}, {1, []string{"a", "b"}}, {0, []string{"-h"}}} {
			if r := m.Run("runsyssv", c.args...); r.Exit != c.exit || r.Out != "usage: runsyssv SVFILE\n" {
				t.Errorf("runsyssv %q: %+v", c.args, r)
			}
		}
		pid(m, "sshd")
		m.Says(1, "", "", "runsyssv", m.Path("sys/sshd")) // it runs
		svctl(m, 0, "", "stop", "sshd")
		m.Is("sshd", "down")
		m.Says(1, "", "", "runsyssv", m.Path("sys/sshd")) // it is not to run
		m.Says(1, "", "runsyssv: no service nothing: `hsctl status` lists what there is\n", "runsyssv", "nothing")
		for _, c := range []struct {
			name string
			end  func(runsyssv, service int)
		}{
			{"its service ends", func(_, service int) { syscall.Kill(service, syscall.SIGTERM) }},
			{"it is told to end", func(runsyssv, _ int) { syscall.Kill(runsyssv, syscall.SIGTERM) }},
			{"it is told to kill", func(runsyssv, _ int) { syscall.Kill(runsyssv, syscall.SIGUSR1) }},
		} {
			cmd := m.Command("runsyssv", "/anywhere/job")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			service := pid(m, "job")
			m.Says(1, "", "", "runsyssv", "job")
			m.Until("it waits", func() bool { return sleeps(cmd) })
			c.end(cmd.Process.Pid, service)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			gone(m, service)
			m.Is("job", "down")
			m.Run("hsctl", "unblock", "job")
		}
	})
}

// TestSysmgrBecomesTheDaemon in $RUNDIR: it reads $SYSDIR and nothing else, and
// svctl finds it there, from outside and from a service (SM-1, SM-2, SM-6).
func TestSysmgrBecomesTheDaemon(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.Script("sys/asks", `svctl status sshd >> "$NOTED" 2>&1; exec sleep 1000`)
		if r := m.Run("sysmgr", "-h"); r.Exit != 1 || !strings.Contains(r.Out, m.Path("sys")) || !strings.Contains(r.Out, m.Path("rundir")) {
			t.Errorf("sysmgr -h: %+v", r)
		}
		m.Env = append(m.Env, "HOTSVC_SOCKET=")
		wrong := m.Command("sysmgr")
		wrong.Env = append(wrong.Env, "SYSDIR="+m.Path("nowhere"))
		if r := m.Finish(wrong); r.Exit != 1 || !strings.Contains(r.Err, m.Path("nowhere")) {
			t.Errorf("sysmgr without a directory: %+v", r)
		}
		cmd := m.Command("sysmgr")
		m.Env = append(m.Env, "HOTSVC_SOCKET="+m.Path("rundir/control")) // for hsctl
		m.Start(cmd)
		m.Env = append(m.Env, "HOTSVC_SOCKET=")
		m.Until("svctl finds it", func() bool { return m.Run("svctl", "status", "sshd").Err == "sshd: UP\n" })
		m.Until("and from inside", func() bool {
			return slices.Contains(m.Lines("noted"), "sshd: UP") || slices.Contains(m.Lines("noted"), "sshd: DOWN")
		})
		if got := m.Lines("rundir/pid"); len(got) != 1 || got[0] != strconv.Itoa(m.Pid()) {
			t.Errorf("its pid is %d, and the file says %q", m.Pid(), got)
		}
		if r := m.Run("svctl", "stop", "sshd"); r.Exit != 0 {
			t.Errorf("svctl stop: %+v", r)
		}
		m.Quit()
	})
}
