package chpst

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// line is a command and how it ends with ours.
type line struct {
	who, command string
	status       int
	out          string // what it prints, or some of it
}

func (p place) check(t *testing.T, lines []line) {
	t.Helper()
	for _, l := range lines {
		if l.who == "root" && os.Getuid() != 0 {
			t.Logf("needs root, not run: %s", l.command)
			continue
		}
		got := p.run(t, "ours", l.who, l.command)
		// Who started the test may have had a real-time signal ignored.
		seen := regexp.MustCompile(`(SigIgn:\t0{8})8(0)`).ReplaceAllString(got.out, "${1}0${2}")
		if got.status != l.status || !strings.Contains(seen, l.out) {
			t.Errorf("%s: %+v; want %+v", l.command, got, l)
		}
	}
}

// TestBusyboxsOptionsAreThereToo: what runit's chpst refuses and busybox's has.
func TestBusyboxsOptionsAreThereToo(t *testing.T) {
	newPlace(t).check(t, []line{
		{"me", "chpst -a 300000000 cat /proc/self/limits", 0, "address space         300000000"},
		{"me", "chpst -s 3000000 cat /proc/self/limits", 0, "stack size            3000000"},
		{"me", "ulimit -Sn 50; chpst -o = sh -c 'test $(ulimit -n) = $(ulimit -Hn)'", 0, ""},
		{"root", "chpst -u 65533 see", 0, "Groups:\t65533"},
		{"root", "chpst -u 65534:8 see", 0, "Uid:\t65534\t65534\t65534\t65534\nGid:\t8\t8\t8\t8\nGroups:\t8"},
		{"root", "setuidgid 65532 see", 0, "Uid:\t65532"},
		{"root", "setuidgid nobody:daemon:mail see", 0, "Groups:\t1 8"},
		{"me", "chpst -U 77:88 sh -c 'echo $UID $GID'", 0, "77 88"},
		{"me", "envuidgid 4294967295 true", 111, ""},
		{"me", "envuidgid 4294967296 true", 111, ""},
		{"me", "chpst -C p pwd", 0, "/here/p"},
		{"root", "chpst -/ root -C bin pwd", 0, "/bin"},
		{"me", "chpst -C nosuch pwd", 111, ""},
	})
}

// TestNothingGivenIsNoZero: runit takes a number that is not there for 0, which
// as a group is root's.
func TestNothingGivenIsNoZero(t *testing.T) {
	newPlace(t).check(t, []line{
		{"me", "chpst -U :12: true", 111, ""},
		{"me", "chpst -U :12:34: true", 111, ""},
		{"me", "chpst -U : true", 111, ""},
		{"me", "chpst -m '' true", 100, ""},
		{"me", "softlimit -o '' true", 100, ""},
		{"me", "chpst -n '' true", 100, ""},
	})
}

// TestErrorSaysWhyItCouldNotBeRun: not that it is not there, if it is.
func TestErrorSaysWhyItCouldNotBeRun(t *testing.T) {
	newPlace(t).check(t, []line{
		{"nobody", "PATH=$PATH:p:nosuch chpst notmine 2>&1", 111, "chpst: fatal: cannot run it: exec notmine: permission denied\n"},
		{"nobody", "PATH=$PATH:e:nosuch softlimit A 2>&1", 111, "softlimit: fatal: cannot run it: exec A: permission denied\n"},
		{"me", "softlimit -m 1000000 ./broken 2>&1", 111, "exec ./broken: no such file"},
		{"me", "chpst -m 1000000 p/broken 2>&1", 111, "exec p/broken: exec format error"},
		{"me", "setuidgid nosuch true 2>&1", 111, `setuidgid: fatal: which user is that: "nosuch" is not in /etc/passwd`},
		{"me", "chpst -Z true 2>&1", 100, "chpst: no option -Z: usage: chpst [-vVP012]"},
	})
}

// TestUserIsNotWhoTheEnvironmentSays: root without an entry in /etc/passwd stays
// an unknown, whatever $USER is.
func TestUserIsNotWhoTheEnvironmentSays(t *testing.T) {
	p := newPlace(t)
	livetest.Namespace(t, func(t *testing.T) {
		empty := filepath.Join(t.TempDir(), "passwd")
		if err := os.WriteFile(empty, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(empty, "/etc/passwd", "", unix.MS_BIND, ""); err != nil {
			t.Skipf("cannot replace /etc/passwd: %v", err)
		}
		p.check(t, []line{{"me", "export USER=ftp HOME=/; setuidgid ftp true", 111, ""}})
	})
}

// TestEnvironmentKeepsItsOrder: what is changed goes to the end.
func TestEnvironmentKeepsItsOrder(t *testing.T) {
	newPlace(t).check(t, []line{
		{"me", "exec env -i Z=1 A=2 Y=3 C=4 PATH=$PATH chpst -e e -U 5:6 sh -c 'tr \"\\0\" \" \" </proc/$$/environ'", 0,
			"Z=1 Y=3 PATH=SIDE"},
		{"me", "exec env -i Z=1 A=2 Y=3 C=4 PATH=$PATH chpst -e e -U 5:6 sh -c 'tr \"\\0\" \" \" </proc/$$/environ'", 0,
			"A=v1 C= D=a\nb x=y=z GID=6 UID=5 "},
	})
}

// TestGoProgramRunsWithLittleMemoryAllowed: std_service_logger runs svlogd under
// chpst -m 20971520, in which no Go program can start.
func TestGoProgramRunsWithLittleMemoryAllowed(t *testing.T) {
	newPlace(t).check(t, []line{
		{"me", "chpst -m 20971520 other", 0, "a Go program"},
		{"me", "softlimit -a 1000000 softlimit -d 1000000 other", 0, "a Go program"},
		{"me", "chpst -v -m 20971520 other 2>&1 >/dev/null", 0, "chpst: warning: the limits"},
		{"root", "chpst -u nobody -m 20971520 other", 0, "a Go program"},
	})
}

// TestProgramIsToldOfItsParentsDeath: what was asked of the kernel for the
// thread that chpst was started in is still so for the program.
func TestProgramIsToldOfItsParentsDeath(t *testing.T) {
	p := newPlace(t)
	for range 20 {
		cmd, out, _ := p.command("ours", "me", "exec chpst -n 1 other")
		cmd.Dir = p.dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGUSR1}
		if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "death 10\n") {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// TestIgnoredSignalsStayIgnored: those that nohup and shells with job control
// ignore. Go puts its own handler in the place of others before main, so that
// they are back at their default in the program: SIGPIPE, SIGTERM, SIGQUIT.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	heard := make(chan os.Signal, 1) // under nohup(1) it is ignored, and would be in the child
	signal.Notify(heard, unix.SIGHUP)
	defer signal.Stop(heard)
	newPlace(t).check(t, []line{
		{"me", "trap '' HUP; chpst see", 0, "SigIgn:\t0000000000000001"},
		{"me", "trap '' HUP INT TSTP TTIN TTOU; softlimit -o 50 see", 0, "SigIgn:\t0000000000380003"},
		{"me", "trap '' HUP; chpst -m 100000000 chpst -P see", 0, "SigIgn:\t0000000000000001"},
		{"me", "trap '' PIPE; chpst see", 0, "SigIgn:\t0000000000000000"},
	})
}

// TestBlockedSignalsStayBlocked: but for those that Go unblocks for itself:
// SIGHUP, SIGINT, SIGQUIT, SIGTERM and SIGCHLD among them.
func TestBlockedSignalsStayBlocked(t *testing.T) {
	if err := exec.Command("env", "--block-signal=USR1", "true").Run(); err != nil {
		t.Skipf("no env that can block signals: %v", err)
	}
	newPlace(t).check(t, []line{
		{"me", "env --block-signal=USR1,PIPE,ALRM chpst see", 0, "SigBlk:\t0000000000003200"},
		{"me", "env --block-signal=USR1,PIPE,ALRM chpst -n 1 see", 0, "SigBlk:\t0000000000003200"},
	})
}

// TestLockIsWaitedForAndHeld: by chpst -l and by setlock without -n; the lock is
// held for as long as the program runs.
func TestLockIsWaitedForAndHeld(t *testing.T) {
	p := newPlace(t)
	p.furnish(t)
	for _, waiting := range []string{"chpst -l l", "setlock l", "setlock -N l", "setlock -nNx l"} {
		holder, out, stderr := p.command("ours", "me", "chpst -l l sh -c 'echo held; read line'")
		stdin, err := holder.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		held := func() bool {
			file, err := os.Open(filepath.Join(p.dir, "here/l"))
			if err != nil {
				return false
			}
			defer file.Close()
			return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK
		}
		livetest.Until(t, "the lock is held", held)
		for command, status := range map[string]int{
			"chpst -L l true": 111, "setlock -n l true": 111, "setlock -nx l true": 0, "setlock -xnX l true": 111,
		} {
			cmd, _, _ := p.command("ours", "me", command)
			cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != status {
				t.Errorf("%s: %d, want %d", command, got, status)
			}
		}
		waiter, said, _ := p.command("ours", "me", "exec "+waiting+" sh -c 'echo mine'")
		if err := waiter.Start(); err != nil {
			t.Fatal(err)
		}
		livetest.Until(t, waiting+" waits", func() bool {
			locks, _ := os.ReadFile("/proc/locks")
			return strings.Contains(string(locks), "-> FLOCK  ADVISORY  WRITE "+strconv.Itoa(waiter.Process.Pid)+" ")
		})
		stdin.Close()
		if err := waiter.Wait(); err != nil || said.String() != "mine\n" {
			t.Errorf("%s: %v %q", waiting, err, said)
		}
		if holder.Wait(); out.String() != "held\n" {
			t.Errorf("holder: %q %q", out, stderr)
		}
	}
}

// TestTightLimitsNeverEndChpstItself: Go's runtime ends a process that gets no
// memory or no thread when it wants one, which it does now and then.
func TestTightLimitsNeverEndChpstItself(t *testing.T) {
	p := newPlace(t)
	p.furnish(t)
	for range 100 {
		cmd, _, stderr := p.command("ours", "nobody", "exec chpst -m 10000000 -p 1 true")
		cmd.Dir = filepath.Join(p.dir, "here")
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
	}
}
