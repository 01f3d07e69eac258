//go:build amd64 || arm64

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A watched daemon is the ordinary one: its first thread has a seccomp filter by
// which the kernel asks us before every system call that changes something
// outside of it, and waits for the answer. So we know each of its effects, and
// can kill it before any of them. After one is before the next.

// watchedFD makes this binary put the filter on itself, hand the kernel's end of
// it over on descriptor 3, and become its arguments.
const watchedFD = "HOTSVC_E2E_WATCHED"

func init() {
	if os.Getenv(watchedFD) == "" {
		return
	}
	runtime.LockOSThread() // the filter is the thread's; exec keeps this one alone
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, watchedFD) })
	listener, err := filterEffects()
	if err == nil {
		err = unix.Sendmsg(3, []byte{0}, unix.UnixRights(listener), nil, 0)
	}
	if err == nil {
		unix.CloseOnExec(3)
		unix.CloseOnExec(listener)
		err = unix.Exec(os.Args[1], os.Args[1:], env)
	}
	fmt.Fprintln(os.Stderr, "watched:", err)
	os.Exit(1)
}

// effects are the system calls by which the daemon changes anything: files,
// processes, what it tells others, what it takes out of a FIFO.
var effects = map[int32]string{
	unix.SYS_OPENAT: "open", unix.SYS_WRITE: "write", unix.SYS_WRITEV: "write", unix.SYS_PWRITE64: "pwrite",
	unix.SYS_READV: "consume", unix.SYS_MKDIRAT: "mkdir", unix.SYS_MKNODAT: "mknod", unix.SYS_UNLINKAT: "unlink",
	unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename", unix.SYS_SYMLINKAT: "symlink", unix.SYS_FCHMODAT: "chmod", unix.SYS_FCHMOD: "fchmod",
	unix.SYS_FTRUNCATE: "truncate", unix.SYS_FLOCK: "lock", unix.SYS_BIND: "bind", unix.SYS_LISTEN: "listen",
	unix.SYS_CLONE: "clone", unix.SYS_CLONE3: "clone", unix.SYS_EXECVE: "exec", unix.SYS_EXECVEAT: "exec",
	unix.SYS_KILL: "kill", unix.SYS_PIDFD_SEND_SIGNAL: "kill", unix.SYS_PRLIMIT64: "limit", unix.SYS_PTRACE: "trace",
}

// filterEffects puts the filter on this thread. It has an eye only for calls out of
// a program that lies in the lowest 4 GB, as Go's do. A shell lies elsewhere: while
// one waits for our answer a signal interrupts its call, and it says "cannot fork".
func filterEffects() (listener int, err error) {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		hasAny = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret    = unix.BPF_RET | unix.BPF_K
		number = 0  // offsets in struct seccomp_data
		from   = 12 // the high half of the instruction pointer: this is no big-endian machine
		args   = 16
	)
	code := []unix.SockFilter{
		{Code: load, K: from},
		{Code: equal, K: 0, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: number},
	}
	unless := func(nr, arg int, bits uint32, then, otherwise uint32) {
		code = append(code,
			unix.SockFilter{Code: equal, K: uint32(nr), Jf: 4},
			unix.SockFilter{Code: load, K: uint32(args + 8*arg)}, // its low half
			unix.SockFilter{Code: hasAny, K: bits, Jf: 1},
			unix.SockFilter{Code: ret, K: then},
			unix.SockFilter{Code: ret, K: otherwise})
	}
	unless(unix.SYS_OPENAT, 2, unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_ALLOW)
	unless(unix.SYS_CLONE, 0, unix.CLONE_THREAD, unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_USER_NOTIF)
	for nr := range effects {
		code = append(code, unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	code = append(code, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// Killable: a signal that does not end the thread does not make it ask again.
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(code)
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp", errno)
	}
	return int(fd), nil
}

// watch asks for every effect of one daemon after the other. It may be told at
// which one to kill.
type watch struct {
	dir string

	mu    sync.Mutex
	seen  map[string]int  // effects by kind, of all daemons so far
	born  map[uint32]bool // children that have become something
	order []effect
	fatal []effect // kill before these; the first one first
	died  []effect
}

// effect is the n-th of its kind.
type effect struct {
	kind string // "rename run/svc/side"
	n    int
}

func (e effect) String() string { return fmt.Sprintf("%s #%d", e.kind, e.n) }

func newWatch(dir string, fatal ...effect) *watch {
	return &watch{dir: dir, seen: map[string]int{}, born: map[uint32]bool{}, fatal: fatal}
}

// start starts a command under the watch.
func (w *watch) start(cmd *exec.Cmd) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd.Args = append([]string{"/proc/self/exe"}, cmd.Args...)
	cmd.Args[1], cmd.Path = cmd.Path, "/proc/self/exe"
	cmd.Env = append(cmd.Environ(), watchedFD+"=3")
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(ours.Fd()), make([]byte, 1), rights, 0)
	if err == nil {
		var messages []unix.SocketControlMessage
		if messages, err = unix.ParseSocketControlMessage(rights[:n]); err == nil && len(messages) == 1 {
			var fds []int
			if fds, err = unix.ParseUnixRights(&messages[0]); err == nil {
				go w.answer(fds[0], cmd.Process)
				return nil
			}
		}
	}
	cmd.Process.Kill()
	return errors.Join(errors.New("it cannot be watched"), err, cmd.Wait())
}

func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs"), nil
}

// notice is struct seccomp_notif, verdict struct seccomp_notif_resp.
type (
	notice struct {
		id    uint64
		pid   uint32 // of the thread
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	verdict struct {
		id    uint64
		val   int64
		error int32
		flags uint32
	}
)

// answer lets every call pass until nobody with the filter is left. A service has
// inherited it: one that is a Go program asks too, and is none of our business.
func (w *watch) answer(listener int, process *os.Process) {
	daemon := process.Pid
	defer unix.Close(listener)
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR || fds[0].Revents&unix.POLLIN == 0 && fds[0].Revents != 0 {
			return
		}
		var n notice
		if ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) != nil {
			continue // it was killed meanwhile
		}
		if e, counts := w.effectOf(&n, daemon); counts && w.isFatal(e) {
			process.Kill()
			if int(n.pid) == daemon || isThread(daemon, int(n.pid)) {
				continue // it does not come to that
			}
		}
		v := verdict{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&v))
	}
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	for {
		switch _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

func isThread(pid, tid int) bool {
	return unix.Access(fmt.Sprintf("/proc/%d/task/%d", pid, tid), unix.F_OK) == nil
}

// effectOf says what a call is, unless it is none of the daemon's or changes
// nothing outside of it.
func (w *watch) effectOf(n *notice, daemon int) (e effect, counts bool) {
	name, about := effects[n.nr], ""
	w.mu.Lock()
	defer w.mu.Unlock()
	if !isThread(daemon, int(n.pid)) {
		// A child that is about to become its program: the last moment at which its
		// parent may die and leave it behind.
		if name != "exec" || w.born[n.pid] || parentOf(int(n.pid)) != daemon {
			return e, false
		}
		w.born[n.pid] = true
	}
	switch name {
	case "open", "mkdir", "mknod", "unlink", "chmod":
		about = w.pathAt(daemon, n.args[1])
	case "rename":
		about = w.pathAt(daemon, n.args[3])
	case "symlink":
		about = w.pathAt(daemon, n.args[2])
	case "exec":
		about = w.pathAt(int(n.pid), n.args[0])
	case "bind": // sockaddr_un begins with its family
		if about = w.pathAt(daemon, n.args[1]); !strings.HasPrefix(about, "\x01") {
			return e, false
		}
		about = w.pathAt(daemon, n.args[1]+2)
	case "write", "pwrite", "consume", "truncate", "lock", "listen", "fchmod":
		fd := int(n.args[0])
		about, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", daemon, fd))
		if about = w.short(about); fd == 2 || strings.Contains(about, "eventfd") {
			return e, false
		}
	case "kill":
		if n.args[1] == 0 {
			return e, false
		}
		about = strings.TrimPrefix(unix.SignalName(syscall.Signal(n.args[1])), "SIG")
	}
	kind := strings.TrimSpace(name + " " + about)
	w.seen[kind]++
	e = effect{kind, w.seen[kind]}
	w.order = append(w.order, e)
	return e, true
}

func (w *watch) isFatal(e effect) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fatal) == 0 || w.fatal[0].n != e.n && w.fatal[0].kind != "" || w.fatal[0].kind != e.kind && w.fatal[0].kind != "" {
		return false
	}
	if w.fatal[0].kind == "" { // so many after the death before
		if w.fatal[0].n--; w.fatal[0].n > 0 {
			return false
		}
	}
	w.fatal = w.fatal[1:]
	w.died = append(w.died, e)
	return true
}

// pathAt is the text at an address of a process.
func (w *watch) pathAt(pid int, at uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return "?"
	}
	defer memory.Close()
	text := make([]byte, 256)
	n, _ := memory.ReadAt(text, int64(at)) // the page after it may not be there
	text, _, _ = bytes.Cut(text[:n], []byte{0})
	return w.short(string(text))
}

var numbers = regexp.MustCompile(`\d{2,}|[/.]\d+\b`)

// short is a path without what differs from one run to the next.
func (w *watch) short(path string) string {
	path = strings.TrimPrefix(path, w.dir+"/")
	if at := strings.Index(path, "/hotsvc-"); at >= 0 { // the cgroup of the run directory
		path = "cgroup" + path[min(len(path), at+len("/hotsvc-00000000")):]
	}
	return numbers.ReplaceAllStringFunc(path, func(s string) string { return strings.TrimRight(s, "0123456789") + "N" })
}

// watchable skips the test where the kernel does not let us ask.
func watchable(t *testing.T) {
	t.Helper()
	w := newWatch(t.TempDir())
	cmd := exec.Command("/bin/true")
	var why bytes.Buffer
	cmd.Stderr = &why
	if err := w.start(cmd); err != nil {
		t.Skipf("no seccomp notifications here: %s", bytes.TrimSpace(why.Bytes()))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}
