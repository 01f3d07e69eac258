package svlog

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child carries what is in a FIFO into a log directory until nothing is left.
// It is this test binary, started with the directory in its environment.
func init() {
	dir := os.Getenv("SVLOG_TEST_CARRIER")
	if dir == "" {
		return
	}
	fail := func(err error) { carrying(dir).LostOutput("a", err) }
	all, err := OpenPumps(dir+"/marks", []string{"a"}, carrying(dir))
	fail(err)
	p, err := all.Resume("a", dir+"/fifo")
	fail(err)
	for left := 1; left > 0; time.Sleep(time.Millisecond) {
		left, err = unix.IoctlGetInt(p.fd, unix.TIOCINQ)
		fail(err)
	}
	p.Stop()
	<-p.Done()
	os.Exit(0)
}

// carrying is the owner of the child's pump.
type carrying string

func (dir carrying) OpenSink(string) (Sink, error) {
	return Open(string(dir)+"/log", Options{Make: true, Resume: true, MaxSize: 40 << 10})
}

func (dir carrying) LostOutput(_ string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (dir carrying) OutputEnds(*Pump, func() bool) bool {
	fmt.Fprintln(os.Stderr, "at its end")
	os.Exit(1)
	return true
}

// carrier is a FIFO with something in it, and children that carry it.
type carrier struct {
	t    *testing.T
	dir  string
	want string
}

const carriedLines = 6000

func newCarrier(t *testing.T) *carrier {
	c := &carrier{t: t, dir: t.TempDir()}
	fifo := filepath.Join(c.dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var text strings.Builder
	for i := range carriedLines {
		fmt.Fprintf(&text, "line %d of what is carried\n", i)
	}
	c.want = text.String()
	size, err := unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, 256<<10)
	if err != nil || size < len(c.want) {
		t.Skip("a pipe of 256 KiB is refused here: ", err)
	}
	if _, err := f.WriteString(c.want); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *carrier) child() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "SVLOG_TEST_CARRIER="+c.dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// check reads all files and compares.
func (c *carrier) check(when string) {
	c.t.Helper()
	files, err := Files(filepath.Join(c.dir, "log"))
	if err != nil {
		c.t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			c.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, rest, _ := ParseStamp([]byte(line))
			got.Write(rest)
		}
	}
	if got.String() == c.want {
		return
	}
	seen := map[string]int{}
	for line := range strings.Lines(got.String()) {
		seen[line]++
	}
	lost, doubled := 0, 0
	for line := range strings.Lines(c.want) {
		if n := seen[line]; n == 0 {
			lost++
		} else if n > 1 {
			doubled++
		}
	}
	c.t.Errorf("%s: %d lines lost, %d doubled, %d bytes of %d in %d files", when, lost, doubled, got.Len(), len(c.want), len(files))
}

// vital are the system calls between which a kill could matter.
var vital = map[uint64]string{
	unix.SYS_TEE: "tee", unix.SYS_PWRITE64: "pwrite", unix.SYS_READV: "readv", unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FLOCK: "flock",
	unix.SYS_FSYNC: "fsync", unix.SYS_FCHMOD: "fchmod", unix.SYS_RENAMEAT: "renameat", unix.SYS_UNLINKAT: "unlinkat",
}

// killedAt runs a child and kills it at the n-th time that it enters or leaves a
// vital system call. It returns which that was; "" if the child came to its end.
func (c *carrier) killedAt(n int) (where string) {
	c.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // who traces is a thread; this one ends with the goroutine
		var err error
		where, err = trace(c.child(), n)
		done <- err
	}()
	if err := <-done; err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			c.t.Skip("tracing is refused here: ", err)
		}
		c.t.Fatal(err)
	}
	return where
}

func trace(cmd *exec.Cmd, n int) (where string, err error) {
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	leader := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(leader, &ws, 0, nil); err != nil {
		return "", err
	}
	if err := unix.PtraceSetOptions(leader, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return "", err
	}
	inside := map[int]string{} // the vital call that a thread is in
	for tid := leader; ; {
		signal := 0
		switch {
		case ws.Exited() || ws.Signaled():
			if tid == leader {
				if where == "" && (ws.Signaled() || ws.ExitStatus() != 0) {
					err = fmt.Errorf("the child ended with %x", ws)
				}
				return where, err
			}
		case where != "":
		case ws.StopSignal() == unix.SIGTRAP|0x80:
			var info struct {
				op uint8
				_  [23]byte
				nr uint64 // at the entry
				_  [56]byte
			}
			if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); errno == unix.ESRCH {
				break // the child has just ended
			} else if errno != 0 {
				return "", errno
			}
			name, way := inside[tid], "after "
			if info.op == unix.PTRACE_SYSCALL_INFO_ENTRY {
				name, way = vital[info.nr], "before "
				inside[tid] = name
			}
			if name == "" {
				break
			}
			if n--; n == 0 {
				where = way + name
				unix.Kill(leader, unix.SIGKILL)
			}
		case ws.StopSignal() != unix.SIGTRAP && ws.StopSignal() != unix.SIGSTOP:
			signal = int(ws.StopSignal())
		}
		if !ws.Exited() && !ws.Signaled() {
			unix.PtraceSyscall(tid, signal) // which fails if it was killed
		}
		for {
			tid, err = unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
			if err != unix.EINTR {
				break
			}
		}
		if err != nil {
			return where, err
		}
	}
}

// A daemon is killed before and after each system call of the transaction, and
// the next one in the midst of its recovery.
func TestKilledAtEachSystemCall(t *testing.T) {
	places := map[string]int{}
	step := 1
	if testing.Short() {
		step = 9
	}
	for n := 1; ; n += step {
		c := newCarrier(t)
		where := c.killedAt(n)
		if where == "" {
			c.check("not killed")
			break
		}
		places[where]++
		again := c.killedAt(1 + n*7%11)
		if err := c.child().Run(); err != nil {
			t.Fatal("the next one: ", err)
		}
		c.check(fmt.Sprintf("killed %d: %s, and then %s", n, where, again))
	}
	for _, where := range []string{"before tee", "after tee", "before pwrite", "after pwrite", "before readv", "after readv", "before renameat", "after renameat"} {
		if places[where] == 0 && step == 1 {
			t.Errorf("no child was killed %s: %v", where, places)
		}
	}
	t.Log(places)
}

// What no system call is between: the write of a file that is torn, and marks
// that are left by it.
func TestRecovery(t *testing.T) {
	const line = "a line\n"
	for name, c := range map[string]struct {
		file string // of a transaction that carries line
		in   string // the FIFO
		cell bool   // consumed
		want string
	}{
		"not written":                     {"> before\n", line, false, "> before\n> a line\n"},
		"torn":                            {"> before\n> a l", line, false, "> before\n> a line\n"},
		"torn, and an equal line follows": {"> before\n> a l", line + line, false, "> before\n> a line\n> a line\n"},
		"written, and readers saw it":     {"> before\n> A line\n", line, false, "> before\n> A line\n"},
		"written, and an equal one":       {"> before\n> A line\n", line + line, false, "> before\n> A line\n> a line\n"},
		"consumed":                        {"> before\n> a line\n", "", true, "> before\n> a line\n"},
		"consumed, and an equal one":      {"> before\n> a line\n", line, true, "> before\n> a line\n> a line\n"},
		"torn, and the FIFO is gone":      {"> before\n> a l", "", false, "> before\n> a l"},
		"written, and the FIFO is gone":   {"> before\n> a line\n", "", false, "> before\n> a line\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPumping(t)
			if err := os.WriteFile(p.path("paper"), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			memory, err := mapMarks(p.path("marks"))
			if err != nil {
				t.Fatal(err)
			}
			k := markAt(memory, 5)
			k.begin(keyOf("a"), int64(len("> before\n")), len("> "+line), []byte(line))
			if c.cell {
				k.cell = k.last
			}
			unix.Munmap(memory)
			p.say(c.in)
			p.start(nil)
			p.writer.Close()
			<-p.Done()
			p.reads(c.want)
		})
	}
}
