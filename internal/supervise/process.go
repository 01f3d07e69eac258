package supervise

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
)

// process is a process held by its pidfd. The pidfd is in the runtime's poller,
// so that waiting costs a goroutine and no thread.
type process struct {
	pid     int
	started uint64
	pidfd   *os.File
	ready   *os.File      // read end of its readiness FIFO
	ended   *service.Exit // it was reaped already
}

// newProcess takes over the pidfd.
func newProcess(pid, pidfd int) (*process, error) {
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	return &process{pid: pid, pidfd: os.NewFile(uintptr(pidfd), "pidfd")}, nil
}

// findProcess opens a process by pid and makes sure that it is the one that
// started then: a pid alone may be somebody else's by now.
func findProcess(pid int, started uint64) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	st, err := readStat(pid)
	if err == nil && st.started != started {
		err = unix.ESRCH
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	p, err := newProcess(pid, fd)
	if p != nil {
		p.started = started
	}
	return p, err
}

func (p *process) Pid() int        { return p.pid }
func (p *process) Started() uint64 { return p.started }

func (p *process) Close() {
	p.pidfd.Close()
	if p.ready != nil {
		p.ready.Close()
	}
}

func (p *process) Signal(sig syscall.Signal) error {
	var err error
	if cerr := p.control(func(fd int) { err = unix.PidfdSendSignal(fd, sig, nil, 0) }); cerr != nil {
		return unix.ESRCH // closed, because it is gone
	}
	return err
}

func (p *process) control(fn func(fd int)) error {
	rc, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(fd uintptr) { fn(int(fd)) })
}

// Wait returns the end of a child, or what can be found out about that of
// another's child. A process is alive as long as its pidfd is not readable:
// zombies keep pid and start time, and nobody may ever reap them.
func (p *process) Wait() (exit service.Exit, ok bool) {
	if p.ended != nil {
		return *p.ended, true
	}
	rc, err := p.pidfd.SyscallConn()
	if err != nil {
		return exit, false
	}
	err = rc.Read(func(fd uintptr) bool {
		var reaped bool
		exit, reaped, ok = waitChild(int(fd))
		if ok {
			return reaped
		}
		return readable(int(fd)) // not our child
	})
	if err != nil {
		return service.Exit{}, false
	}
	if ok {
		return exit, true
	}
	return p.foreignExit(), true
}

// waitChild asks for the end of a child without waiting; ok is false where the
// process is no child of ours.
func waitChild(pidfd int) (exit service.Exit, reaped, ok bool) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOHANG, nil)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOHANG, nil)
	}
	if err != nil {
		return exit, false, false
	}
	if info.Signo == 0 {
		return exit, false, true
	}
	// si_pid, si_uid, si_status follow the three words, aligned like a pointer.
	child := (*[3]int32)(unsafe.Add(unsafe.Pointer(&info), (12+unsafe.Sizeof(uintptr(0))-1)&^(unsafe.Sizeof(uintptr(0))-1)))
	if info.Code == cldExited {
		return service.Exit{Code: int(child[2])}, true, true
	}
	return killedBy(syscall.Signal(child[2])), true, true
}

const cldExited = 1 // CLD_EXITED of sigaction(2)

// awaitEnd waits until the process has ended, whoever reaps it; false says that
// Close came first.
func (p *process) awaitEnd() bool {
	rc, err := p.pidfd.SyscallConn()
	return err == nil && rc.Read(func(fd uintptr) bool { return readable(int(fd)) }) == nil
}

func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

const exitPatience = 50 * time.Millisecond // between the end and its reaping by another

// foreignExit finds out how somebody else's child ended: a zombie shows it in
// proc(5), and after its reaping the kernel tells by ioctl (6.15 and later).
func (p *process) foreignExit() service.Exit {
	for deadline := time.Now().Add(exitPatience); ; time.Sleep(time.Millisecond) {
		st, err := readStat(p.pid)
		zombie := err == nil && st.started == p.started && st.zombie()
		// The kernel shows 0 to those who may not trace it.
		if zombie && (st.exit != 0 || os.Geteuid() == 0) {
			return exitOf(st.exit)
		}
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		var infoErr error
		if err := p.control(func(fd int) { infoErr = unix.IoctlPidfdInfo(fd, &info) }); err != nil {
			return service.Exit{Unknown: true}
		}
		if infoErr == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
			return exitOf(unix.WaitStatus(info.Exit_code))
		}
		if unsupported := infoErr != nil && infoErr != unix.ESRCH; unsupported && !zombie || time.Now().After(deadline) {
			return service.Exit{Unknown: true}
		}
	}
}

func exitOf(ws unix.WaitStatus) service.Exit {
	if ws.Signaled() {
		return killedBy(ws.Signal())
	}
	return service.Exit{Code: ws.ExitStatus()}
}

func killedBy(sig syscall.Signal) service.Exit {
	return service.Exit{Signal: signalName(sig), Number: int(sig)}
}

// signalName is a signal without SIG; real-time signals have numbers only.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return sig.String()
}

func (p *process) HasReady() bool { return p.ready != nil }

// saidReady is the mode of a readiness FIFO of which READY has come: a daemon
// that dies before it has told anybody leaves that to the next one. Before, the
// word itself is still in the FIFO, unless its service has closed it.
const saidReady = 0o700

// Ready waits for a newline in the FIFO, and leaves it there.
func (p *process) Ready() bool {
	defer p.ready.Close()
	if info, err := p.ready.Stat(); err == nil && info.Mode().Perm() == saidReady {
		return true
	}
	rc, err := p.ready.SyscallConn()
	if err != nil {
		return false
	}
	said := false
	rc.Read(func(fd uintptr) bool {
		for {
			text, err := peek(int(fd))
			switch {
			case err == unix.EAGAIN:
				return false
			case err != nil || len(text) == 0:
				return true
			case bytes.IndexByte(text, '\n') >= 0:
				said = true
				p.ready.Chmod(saidReady)
				return true
			}
			unix.Read(int(fd), text) // what comes before it says nothing
		}
	})
	return said
}

// peek copies what is in a FIFO; nothing is its end.
func peek(fifo int) ([]byte, error) {
	var copied [2]int
	if err := unix.Pipe2(copied[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	defer unix.Close(copied[0])
	defer unix.Close(copied[1])
	text := make([]byte, 512)
	for {
		n, err := unix.Tee(fifo, copied[1], len(text), unix.SPLICE_F_NONBLOCK)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return nil, err
		}
		got, err := unix.Read(copied[0], text)
		return text[:max(0, got)], err
	}
}
