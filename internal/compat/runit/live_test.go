package runit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// bothSVC runs a story with our svc, by the socket, and with busybox's, by
// supervise/control.
func bothSVC(t *testing.T, story func(m *livetest.Machine)) {
	for _, whose := range []string{"ours", "busybox"} {
		t.Run(whose, func(t *testing.T) {
			busybox, err := exec.LookPath("busybox")
			if whose == "busybox" && err != nil {
				t.Skip("no busybox here")
			}
			livetest.Live(t, func(m *livetest.Machine) {
				os.Mkdir(m.Path("bin"), 0o755)
				to := m.Command("svc").Path
				if whose == "busybox" {
					to = busybox
				}
				if err := os.Symlink(to, m.Path("bin/svc")); err != nil {
					m.Fatal(err)
				}
				m.Env = append(m.Env, "SVDIR="+m.Path("s"), "PATH="+m.Path("bin")+":"+os.Getenv("PATH"))
				story(m)
			})
		})
	}
}

// TestWhatIsWrittenIsRead (OS-1 to OS-5): fw says `svc -o .` and reads what it
// is to do; others write that and say `svc -u`, while it runs and while it rests.
func TestWhatIsWrittenIsRead(t *testing.T) {
	bothSVC(t, func(m *livetest.Machine) {
		m.Script("s/fw/run", "svc -o .\ncat conf >>seen\necho >>seen\nsleep 0.0$(($$ % 4))")
		m.File("s/fw/conf", "0", 0o644)
		m.Boot(m.Path("s"))
		seen := func(version int) bool {
			return strings.Contains("\n"+strings.Join(m.Lines("s/fw/seen"), "\n")+"\n", fmt.Sprintf("\n%d\n", version))
		}
		m.Until("it runs at first", func() bool { return seen(0) })
		writes := 0
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end) || writes < 10; {
			for range 1 + writes%3 { // several writers, one after the other
				writes++
				m.File("s/fw/conf.new", strconv.Itoa(writes), 0o644)
				os.Rename(m.Path("s/fw/conf.new"), m.Path("s/fw/conf"))
				if r := m.Run("svc", "-u", "fw"); r.Exit != 0 {
					m.Fatalf("svc -u: %+v", r)
				}
			}
			last := writes
			m.Until(fmt.Sprintf("version %d is read", last), func() bool { return seen(last) })
		}
		runs := func() int { return len(m.Lines("s/fw/seen")) }
		m.Is("fw", "down")
		before := runs()
		time.Sleep(1500 * time.Millisecond) // longer than the pause before a restart
		if now := runs(); now != before || now > 1+writes {
			m.Errorf("%d runs after %d times svc -u; %d of them unasked", now, writes, now-before)
		}
		m.Logf("%d times svc -u, %d runs", writes, before)
	})
}

// TestAShortRunStartsNoOther (OS-6): a run that says `svc -o .` and ends at once
// is the only one, however late its word is heard.
func TestAShortRunStartsNoOther(t *testing.T) {
	bothSVC(t, func(m *livetest.Machine) {
		m.Script("s/short/run", "echo ran >>runs\nexec svc -o .")
		m.File("s/short/down", "", 0o644)
		m.Boot(m.Path("s"))
		const times = 15
		for i := range times {
			m.Run("svc", "-u", "short")
			m.Until("it ran", func() bool { return len(m.Lines("s/short/runs")) > i })
			m.Until("it rests", func() bool { s := m.Get("short"); return s.State == "down" && s.Blocked != nil })
		}
		time.Sleep(1500 * time.Millisecond) // longer than the pause before a restart
		if n := len(m.Lines("s/short/runs")); n != times {
			m.Errorf("%d runs, and %d were asked for", n, times)
		}
	})
}

// TestAnyDialectByItsName: sv knows what is no directory at all.
func TestAnyDialectByItsName(t *testing.T) {
	livetest.Live(t, func(m *livetest.Machine) {
		m.File("toml/web.toml", "exec_start = [\"sleep\", \"1000\"]\nstart_at_boot = true\n", 0o644)
		m.File("toml/idle.toml", "exec_start = [\"sleep\", \"1000\"]\n", 0o644)
		m.Boot(m.Path("toml"))
		m.Is("web", "up")
		for _, c := range []struct{ command, says string }{
			{"sv status web idle", "run: web: (pid P) Ns\ndown: idle: Ns\n"},
			{"sv restart web", "ok: run: web: (pid P) Ns\n"},
			{"sv stop web", "ok: down: web: Ns, normally up\n"},
			{"svok web", ""},
			{"svc -o idle && sv -v once idle", "ok: run: idle: (pid P) Ns, normally down, want down\n"},
			{"sv status nosuch", "fail: nosuch: unable to change to service directory: file does not exist\n[1]\n"},
		} {
			if got := shell(m, c.command); got != c.says {
				m.Errorf("%s: %q, should be %q", c.command, got, c.says)
			}
		}
	})
}

// TestADaemonDies: the files stay, `ok` says that nobody is there, and the next
// daemon takes over without a restart.
func TestADaemonDies(t *testing.T) {
	livetest.Live(t, func(m *livetest.Machine) {
		m.Script("s/a/run", "exec sleep 1000")
		m.Env = append(m.Env, "SVDIR="+m.Path("s"))
		m.Boot(m.Path("s"))
		m.Is("a", "up")
		pid := m.Lines("s/a/supervise/pid")
		m.Crash()
		for command, says := range map[string]string{"sv status a": "fail: a: runsv not running\n[1]\n", "svok ./s/a": "[100]\n", "cat s/a/supervise/stat": "run\n"} {
			if got := shell(m, command); got != says {
				m.Errorf("without a daemon, %s: %q, should be %q", command, got, says)
			}
		}
		m.Boot(m.Path("s"))
		if got := shell(m, "svok ./s/a; sv status a"); got != "run: a: (pid P) Ns\n" {
			m.Errorf("with the next: %q", got)
		}
		if now := m.Lines("s/a/supervise/pid"); strings.Join(now, "") != strings.Join(pid, "") {
			m.Errorf("pid %v, and before %v", now, pid)
		}
	})
}

// TestAnotherRunsv: what a live runsv supervises is not started and not touched;
// our sv talks to it all the same, and a reload takes it when it has gone.
func TestAnotherRunsv(t *testing.T) {
	runsv := filepath.Join(debian(t), "runsv")
	livetest.Live(t, func(m *livetest.Machine) {
		run := m.Script("s/a/run", "echo ran >>runs\nexec sleep 1000")
		m.Script("s/b/run", "exec sleep 1000")
		m.Env = append(m.Env, "SVDIR="+m.Path("s"))
		theirs := m.Command(runsv, filepath.Dir(run))
		if err := theirs.Start(); err != nil {
			m.Fatal(err)
		}
		go theirs.Wait()
		m.Until("runsv runs it", func() bool { return strings.Join(m.Lines("s/a/supervise/stat"), "") == "run" })
		m.Boot(m.Path("s"))
		m.Is("b", "up")
		why := m.Run("hsctl", "why", "a").Out
		if want := fmt.Sprintf("is under another supervisor (pid %d)", theirs.Process.Pid); !strings.Contains(why, want) {
			m.Errorf("why: %q, should say %q", why, want)
		}
		for _, c := range []struct{ command, says string }{
			{"sv status a b", "run: a: (pid P) Ns\nrun: b: (pid P) Ns\n"},
			{"sv -w 9 stop a", "ok: down: a: Ns, normally up\n"},
			{"sv -w 9 start a", "ok: run: a: (pid P) Ns\n"},
			{"svok ./s/a", ""},
			{"sv -w 9 exit a", "ok: a: runsv not running\n"},
		} {
			if got := shell(m, c.command); got != c.says {
				m.Errorf("%s: %q, should be %q", c.command, got, c.says)
			}
		}
		if n := len(m.Lines("s/a/runs")); n != 2 {
			m.Errorf("%d runs, and runsv began 2", n)
		}
		m.Run("hsctl", "reload")
		m.Is("a", "up")
		if got := shell(m, "svok ./s/a; cat s/a/supervise/stat"); got != "run\n" {
			m.Errorf("taken over: %q", got)
		}
	})
}

// TestSVOfANewDirectory (W-RV-6): linked in, and told at once. No sleep stands in between.
func TestSVOfANewDirectory(t *testing.T) {
	livetest.Live(t, func(m *livetest.Machine) {
		m.Script("s/a/run", "exec sleep 1000")
		for i := range 5 {
			m.Script(fmt.Sprintf("pool/n%d/run", i), "exec sleep 1000")
		}
		m.Env = append(m.Env, "SVDIR="+m.Path("s"))
		m.Boot(m.Path("s"))
		for i := range 5 {
			line := fmt.Sprintf("ln -s ../pool/n%d s/n%d; sv start n%d", i, i, i)
			if got, want := shell(m, line), fmt.Sprintf("ok: run: n%d: (pid P) Ns\n", i); got != want {
				m.Errorf("%s: %q, should be %q", line, got, want)
			}
		}
	})
}

// TestOthersByTheModes (RV-9): who may open supervise/ok and control may steer
// the service, also one who may not ask the daemon; and nobody else.
func TestOthersByTheModes(t *testing.T) {
	livetest.Root(t, func(t *testing.T) {
		m := &livetest.Machine{T: t, Dir: t.TempDir()}
		os.Chmod(filepath.Dir(m.Dir), 0o755)
		m.File("rules.d/none", "", 0o644)
		m.Script("s/a/run", "exec sleep 1000")
		m.Boot(m.Path("s"))
		defer m.Quit()
		m.Is("a", "up")
		super := m.Path("s/a/supervise")
		for _, c := range []struct {
			file string
			mode os.FileMode
			verb string
			says string
		}{
			{".", 0o700, "status", "warning: ./s/a: unable to open supervise/ok: access denied\n"},
			{".", 0o755, "status", "warning: ./s/a: unable to open supervise/ok: access denied\n"},
			{"ok", 0o622, "status", "run: ./s/a: (pid P) Ns\n"},
			{"control", 0o600, "down", "warning: ./s/a: unable to open supervise/control: access denied\n"},
			{"control", 0o622, "stop", "ok: down: ./s/a: Ns, normally up\n"},
			{"control", 0o622, "start", "ok: run: ./s/a: (pid P) Ns\n"},
		} {
			if err := os.Chmod(filepath.Join(super, c.file), c.mode); err != nil {
				t.Fatal(err)
			}
			cmd := m.Command("sv", c.verb, "./s/a")
			cmd.Dir = m.Dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			if got := same(m.Finish(cmd).Out); got != c.says {
				t.Errorf("mode of %s is %v: sv %s says %q, should say %q", c.file, c.mode, c.verb, got, c.says)
			}
		}
	})
}
