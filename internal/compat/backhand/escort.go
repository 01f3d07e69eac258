package backhand

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
)

const (
	launchGap = 10 * time.Second
	killGrace = 10 * time.Second
)

// handed tells the escort in the background which descriptors it was given: the
// socket that listens, and where to say that it is there.
const handed = "HOTSVC_ESCORT"

// escorting is the escort with those times. It listens first, so that it can
// still fail, and goes on in the background, where it keeps the program running
// until somebody connects.
func escorting(gap, grace time.Duration) compat.Program {
	return func(c *compat.Call) int {
		if fds := os.Getenv(handed); fds != "" {
			return guard(c, fds, gap, grace)
		}
		if len(c.Args) < 2 {
			complain(c, "usage: escort SOCKET PROG [ARG…]")
			return wrongCall
		}
		at, err := address(c.Args[0])
		if err != nil {
			complain(c, err.Error())
			return wrongCall
		}
		socket, err := listen(at)
		if err != nil {
			return complain(c, fmt.Sprintf("cannot listen on %s: %v", c.Args[0], err))
		}
		if err := detach(c, socket); err != nil {
			os.Remove(at.Name)
			return complain(c, fmt.Sprintf("cannot go on in the background: %v", err))
		}
		return 0
	}
}

// listen makes the socket; one whose escort is dead makes room. Others look and
// make theirs before or after.
func listen(at *unix.SockaddrUnix) (socket int, err error) {
	dir, err := os.Open(filepath.Dir(at.Name))
	if err != nil {
		return -1, err
	}
	defer dir.Close()
	if err := flock(dir); err != nil {
		return -1, err
	}
	socket, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(socket, at)
	if err == unix.EADDRINUSE && dead(at) {
		os.Remove(at.Name)
		err = unix.Bind(socket, at)
	}
	if err == nil {
		err = unix.Listen(socket, unix.SOMAXCONN)
	}
	return socket, err
}

// dead tells whether nobody has a socket any more. To connect would be to ask its
// escort to stop; with the wrong type of socket, the kernel only says whether
// there is one.
func dead(at *unix.SockaddrUnix) bool {
	info, err := os.Lstat(at.Name)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	probe, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(probe)
	return unix.Connect(probe, at) == unix.ECONNREFUSED
}

// detach starts this program again, in a session of its own, and returns when it
// is there. What it is handed keeps its number, so that no descriptor that the
// caller meant for the child is in the way.
func detach(c *compat.Call, socket int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	for _, fd := range []int{socket, pipe[1]} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	_, err := syscall.ForkExec("/proc/self/exe", append([]string{c.Path}, c.Args...), &syscall.ProcAttr{
		Env:   append(os.Environ(), fmt.Sprintf("%s=%d %d", handed, socket, pipe[1])),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	unix.Close(pipe[1])
	err = again(func() error {
		n, err := unix.Read(pipe[0], make([]byte, 1))
		if err == nil && n == 0 {
			err = errors.New("it has ended")
		}
		return err
	})
	return err
}

// guard is the escort in the background.
func guard(c *compat.Call, fds string, gap, grace time.Duration) int {
	// The kernel kills the child when the thread that has launched it is gone.
	runtime.LockOSThread()
	os.Unsetenv(handed)
	var socket, there int
	if _, err := fmt.Sscan(fds, &socket, &there); err != nil {
		return complain(c, handed+" is for the escort itself")
	}
	stop := make(chan struct{})
	stopOnce := sync.OnceFunc(func() { close(stop) })
	term := terms()
	go func() { <-term; stopOnce() }()
	unix.Write(there, []byte{0})
	unix.Close(there)
	file := os.NewFile(uintptr(socket), "socket")
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return complain(c, err.Error())
	}
	answered := make(chan bool)
	go answer(listener, stopOnce, answered)

	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil) // which the child inherits
	k := keeper{
		name: c.Args[1], gap: gap, grace: grace,
		launch: func() (*child, error) { return launch(c.Args[1:]) },
		log:    func(format string, args ...any) { fmt.Fprintf(c.Err, c.Name+": "+format+"\n", args...) },
	}
	k.run(stop)
	at, _ := address(c.Args[0])
	os.Remove(at.Name) // before the answer: the next escort may come
	listener.Close()
	<-answered
	return 0
}

// terms tells of SIGTERM. All others that can be are caught, so that they have
// no effect; what is ignored stays so for the child.
func terms() <-chan os.Signal {
	var others []os.Signal
	for s := syscall.Signal(1); s < 65; s++ {
		if s != syscall.SIGTERM && !signal.Ignored(s) {
			others = append(others, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), others...) // which nobody reads
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	return term
}

// answer takes every connection as a request to stop and, when the listener is
// closed because that is done, says so to all of them.
func answer(listener net.Listener, stop func(), done chan<- bool) {
	var asked []net.Conn
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil { // out of descriptors
			time.Sleep(100 * time.Millisecond)
			continue
		}
		asked = append(asked, conn)
		stop()
	}
	for _, conn := range asked {
		conn.Write([]byte{0})
		conn.Close()
	}
	done <- true
}

// launch starts a program that does not outlive this process.
func launch(argv []string) (*child, error) {
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan string, 1)
	go func() {
		state, err := p.Wait()
		if err != nil {
			ended <- err.Error()
			return
		}
		if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
			ended <- fmt.Sprintf("child died from signal %d", status.Signal())
		} else {
			ended <- fmt.Sprintf("child exited with status %d", status.ExitStatus())
		}
	}()
	return &child{func(s syscall.Signal) { p.Signal(s) }, ended}, nil
}
