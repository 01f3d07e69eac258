package backhand

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// escorted is a directory in which an escort keeps a script running.
type escorted struct {
	*testing.T
	dir string
}

// escort starts one with a script, which notes each of its pids, and waits for
// the first. Its output is in the file log.
func escort(t *testing.T, program, script string) escorted {
	t.Helper()
	e := escorted{t, t.TempDir()}
	err := os.WriteFile(e.path("run"), []byte("#!/bin/sh\necho $$ >>pids\n"+script+"\n"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	e.start(program)
	t.Cleanup(func() { run(t, e.dir, "connect", "socket") })
	return e
}

func (e escorted) path(name string) string { return filepath.Join(e.dir, name) }

func (e escorted) start(program string) {
	e.Helper()
	before := len(e.lines("pids"))
	if got := e.run(program); got != 0 {
		e.Fatalf("%s: status %d\n%s", program, got, strings.Join(e.lines("log"), "\n"))
	}
	if info, err := os.Lstat(e.path("socket")); err != nil || info.Mode().Type() != os.ModeSocket {
		e.Fatalf("it has returned, and there is no socket: %v", err)
	}
	livetest.Until(e.T, "the script runs", func() bool { return len(e.lines("pids")) > before })
}

func (e escorted) run(program string) int {
	e.Helper()
	log, err := os.OpenFile(e.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		e.Fatal(err)
	}
	defer log.Close()
	cmd := helper(e.T, e.dir, program, "socket", "./run", "a", "b c")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{log} // for the child, too
	cmd.Run()
	return cmd.ProcessState.ExitCode()
}

func (e escorted) lines(name string) []string {
	text, _ := os.ReadFile(e.path(name))
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// pid is that of the newest child.
func (e escorted) pid() int {
	e.Helper()
	pids := e.lines("pids")
	pid, err := strconv.Atoi(pids[len(pids)-1])
	if err != nil {
		e.Fatal(err)
	}
	return pid
}

// self is the pid of the escort of the newest child.
func (e escorted) self() int {
	e.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.pid()))
	if err != nil {
		e.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		e.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

// said fails the test if the log has other lines.
func (e escorted) said(want ...string) {
	e.Helper()
	if got := e.lines("log"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		e.Errorf("the log has\n%q\nwant\n%q", got, want)
	}
}

// TestEscortEndsItsChildWhenSomebodyConnects: at once after it has returned, and
// leaves nothing behind.
func TestEscortEndsItsChildWhenSomebodyConnects(t *testing.T) {
	e := escort(t, "escort", "exec sleep 1000")
	pid, self := e.pid(), e.self()
	if got := run(t, e.dir, "connect", "socket"); got != 0 {
		t.Errorf("connect: %d", got)
	}
	if alive(pid) {
		t.Error("connect has returned, and the child lives")
	}
	if _, err := os.Lstat(e.path("socket")); err == nil {
		t.Error("the socket is still there")
	}
	livetest.Until(t, "the escort is gone", func() bool { return !alive(self) })
	e.said("escort: launching child ./run", "escort: terminating child", "escort: child died from signal 15")
	if got := run(t, e.dir, "connect", "socket"); got != 1 {
		t.Errorf("connect again: %d", got)
	}
}

// TestEveryConnectWaitsForTheChild: those that come while it is being ended,
// too.
func TestEveryConnectWaitsForTheChild(t *testing.T) {
	e := escort(t, "escort", "trap 'echo >asked; until test -e go; do sleep 0.02; done; echo >gone; exit 0' TERM\nwhile :; do sleep 0.02; done")
	first := helper(t, e.dir, "connect", "socket")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	livetest.Until(t, "the child is asked to end", func() bool { return len(e.lines("log")) > 1 })
	var others []net.Conn
	for range 5 {
		conn, err := net.Dial("unix", e.path("socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		others = append(others, conn)
	}
	others[4].SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := others[4].Read(make([]byte, 1)); n > 0 || !os.IsTimeout(err) {
		t.Errorf("an answer before the child is gone: %d %v", n, err)
	}
	if err := os.WriteFile(e.path("go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for i, conn := range others {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(conn)
		if string(answer) != "\x00" || err != nil {
			t.Errorf("the answer to %d is %q %v", i, answer, err)
		}
	}
	if _, err := os.Stat(e.path("gone")); err != nil {
		t.Errorf("all have their answer, and the child is not gone: %v", err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("connect: %v", err)
	}
}

// TestChildThatIgnoresTermIsKilled: after ten seconds; here, after 0.3.
func TestChildThatIgnoresTermIsKilled(t *testing.T) {
	e := escort(t, "quick-escort", "trap '' TERM\necho >ready\nwhile :; do sleep 0.02; done")
	livetest.Until(t, "it is ready", func() bool { _, err := os.Stat(e.path("ready")); return err == nil })
	pid, began := e.pid(), time.Now()
	if got := run(t, e.dir, "connect", "socket"); got != 0 || alive(pid) {
		t.Errorf("connect: %d, alive %v", got, alive(pid))
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("killed after %v", took)
	}
	e.said("quick-escort: launching child ./run", "quick-escort: terminating child",
		"quick-escort: killing child", "quick-escort: child died from signal 9")
}

// TestChildIsLaunchedAgain: whatever it ended with.
func TestChildIsLaunchedAgain(t *testing.T) {
	e := escort(t, "quick-escort", "case $(wc -l <pids) in 1) exit 0;; 2) exit 7;; 3) kill -9 $$;; esac\nexec sleep 1000")
	livetest.Until(t, "the fourth runs", func() bool { return len(e.lines("pids")) == 4 })
	run(t, e.dir, "connect", "socket")
	launch := "quick-escort: launching child ./run"
	e.said(launch, "quick-escort: child exited with status 0", launch, "quick-escort: child exited with status 7",
		launch, "quick-escort: child died from signal 9",
		launch, "quick-escort: terminating child", "quick-escort: child died from signal 15")
}

// TestStopBetweenTwoLaunchesIsPrompt: it does not wait for the ten seconds, and
// launches nothing.
func TestStopBetweenTwoLaunchesIsPrompt(t *testing.T) {
	e := escort(t, "escort", "exit 3")
	livetest.Until(t, "it has ended", func() bool { return len(e.lines("log")) == 2 })
	began := time.Now()
	if got := run(t, e.dir, "connect", "socket"); got != 0 {
		t.Errorf("connect: %d", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	e.said("escort: launching child ./run", "escort: child exited with status 3")
}

// TestKilledEscortIsNotInTheWay: its child ends with it, and the socket that it
// leaves is no obstacle to the next; many of them at once are one.
func TestKilledEscortIsNotInTheWay(t *testing.T) {
	e := escort(t, "escort", "exec sleep 1000")
	pid := e.pid()
	if err := syscall.Kill(e.self(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	at := &unix.SockaddrUnix{Name: e.path("socket")}
	livetest.Until(t, "the child has ended, too", func() bool { return !alive(pid) && dead(at) })
	if got := run(t, e.dir, "connect", "socket"); got != 1 {
		t.Errorf("connect: %d", got)
	}
	var all sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() { statuses[i] = e.run("escort") })
	}
	all.Wait()
	started := 0
	for _, s := range statuses {
		if s == 0 {
			started++
		} else if s != 1 {
			t.Errorf("status %d", s)
		}
	}
	if started != 1 {
		t.Errorf("%d have started", started)
	}
	livetest.Until(t, "the new child runs", func() bool { return e.pid() != pid })
}

// TestOneOfManyTakesADeadSocket: and the others do not take it from that one.
func TestOneOfManyTakesADeadSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	for range 20 {
		var all sync.WaitGroup
		sockets := make(chan int, 20)
		for range cap(sockets) {
			all.Go(func() {
				if s, err := listen(&unix.SockaddrUnix{Name: path}); err == nil {
					sockets <- s
				} else if err != unix.EADDRINUSE {
					t.Error(err)
				} else {
					unix.Close(s)
				}
			})
		}
		all.Wait()
		if len(sockets) != 1 {
			t.Fatalf("%d have it", len(sockets))
		}
		unix.Close(<-sockets) // which leaves it dead
	}
}

// TestSecondEscortIsRefused: and the first knows nothing of it.
func TestSecondEscortIsRefused(t *testing.T) {
	e := escort(t, "escort", "exec sleep 1000")
	pid := e.pid()
	if got := e.run("escort"); got != 1 {
		t.Errorf("the second: %d", got)
	}
	if !alive(pid) || len(e.lines("log")) != 2 { // the launch, and what the second has said
		t.Errorf("the child lives: %v\n%q", alive(pid), e.lines("log"))
	}
	if err := os.WriteFile(e.path("file"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run(t, e.dir, "escort", "file", "./run"); got != 1 {
		t.Errorf("where there is a file: %d", got)
	}
	holds(t, e.path("file"), "mine")
}

// TestEscortHeedsSigtermAlone.
func TestEscortHeedsSigtermAlone(t *testing.T) {
	e := escort(t, "escort", "exec sleep 1000")
	pid, self := e.pid(), e.self()
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGXCPU, syscall.SIGABRT} {
		if err := syscall.Kill(self, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(self, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	livetest.Until(t, "the escort is gone", func() bool { return !alive(self) })
	if alive(pid) {
		t.Error("the child lives")
	}
	if _, err := os.Lstat(e.path("socket")); err == nil {
		t.Error("the socket is still there")
	}
	e.said("escort: launching child ./run", "escort: terminating child", "escort: child died from signal 15")
}

// TestChildSeesWhatTheCallerHad: directory and environment; the session is the
// escort's.
func TestChildSeesWhatTheCallerHad(t *testing.T) {
	t.Setenv("MINE", "yes")
	e := escort(t, "escort", `for f in stat environ; do cat /proc/$$/$f >$f; done; (pwd; echo "$0 $# $1 $2") >where; exec sleep 1000`)
	livetest.Until(t, "all is noted", func() bool { return len(e.lines("where")) == 2 })
	stat, self := strings.Fields(strings.Join(e.lines("stat"), "")), strconv.Itoa(e.self())
	if stat[5] != self {
		t.Errorf("session %s, escort %s", stat[5], self)
	}
	environ, _ := os.ReadFile(e.path("environ"))
	if !strings.Contains(string(environ), "MINE=yes\x00") || strings.Contains(string(environ), handed) {
		t.Errorf("environment: %q", environ)
	}
	if got := strings.Join(e.lines("where"), " "); got != e.dir+" ./run 2 a b c" {
		t.Errorf("directory and arguments: %s", got)
	}
}

// TestChildHasTheCallersDescriptors: and none of the escort's.
func TestChildHasTheCallersDescriptors(t *testing.T) {
	want := says(t, exec.Command("ls", "/proc/self/fd"), "5\n")
	if got := says(t, helper(t, "", "escort", "socket", tool(t, "ls"), "/proc/self/fd"), "5\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestChildHasNoSignalBlocked: whatever the caller had.
func TestChildHasNoSignalBlocked(t *testing.T) {
	runtime.LockOSThread() // and not unlocked: the thread ends with the test
	blocked := unix.Sigset_t{}
	blocked.Val[0] = 1<<(unix.SIGUSR1-1) | 1<<(unix.SIGPIPE-1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		t.Fatal(err)
	}
	heard := make(chan os.Signal, 1) // under nohup(1) it is ignored, and would be in the child
	signal.Notify(heard, unix.SIGHUP)
	defer signal.Stop(heard)
	got := says(t, helper(t, "", "escort", "socket", tool(t, "cat"), "/proc/self/status"), "ctxt_switches:")
	for _, want := range []string{"SigBlk:\t0000000000000000", "SigIgn:\t00000000"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	// Who started the test may have had a real-time signal ignored.
	if m := regexp.MustCompile(`SigIgn:\t\d{8}[08]0000000`).FindString(got); m == "" {
		t.Errorf("a signal is ignored:\n%s", got)
	}
}
