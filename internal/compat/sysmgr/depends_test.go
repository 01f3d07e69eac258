package sysmgr_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/livetest"
)

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
		if s := m.Get("dbus"); len(s.Holds) != 1 || s.Holds[0].Holder != "boot" {
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
		m.Gone(program)
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
		m.Main("sshd")
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
			service := m.Main("job")
			m.Says(1, "", "", "runsyssv", "job")
			m.Until("it waits", func() bool { return sleeps(cmd) })
			c.end(cmd.Process.Pid, service)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			m.Gone(service)
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
