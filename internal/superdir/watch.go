package superdir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watch waits for all FIFOs at once, for somebody who removes one, and for a
// knock from another goroutine: one descriptor in the runtime's poller.
type watch struct {
	poll    *os.File // epoll(7)
	inotify int      // -1: the system has no more of them

	mu     sync.Mutex
	knocks int // eventfd(2); -1: closed
}

func newWatch(warn func(string)) (*watch, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // or the runtime would not poll it
		return nil, err
	}
	w := &watch{poll: os.NewFile(uintptr(epoll), "epoll")}
	if w.knocks, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		w.poll.Close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if w.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		warn(fmt.Sprintf("who removes a supervise/control is not noticed: inotify: %v: raise fs.inotify.max_user_instances", err))
		w.inotify = -1
		return w, w.add(w.knocks)
	}
	return w, errors.Join(w.add(w.knocks), w.add(w.inotify))
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poll.Close()
	unix.Close(w.inotify)
	unix.Close(w.knocks)
	w.knocks = -1
}

// add has wait tell when there is something to read. A descriptor that is
// closed is forgotten by itself.
func (w *watch) add(fd int) error {
	return w.withEpoll(func(epoll int) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
}

func (w *watch) withEpoll(do func(epoll int) error) error {
	raw, err := w.poll.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// knock wakes wait. It never blocks.
func (w *watch) knock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Write(w.knocks, binary.NativeEndian.AppendUint64(nil, 1)) // full: it is awake anyway
}

// wait returns the descriptors that can be read, and the inotify watches of
// directories from which something went.
func (w *watch) wait() (ready []int, left map[int]bool, err error) {
	raw, err := w.poll.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var events [64]unix.EpollEvent
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, _ = unix.EpollWait(int(fd), events[:], 0)
		return n > 0
	})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events[:n] {
		switch fd := int(e.Fd); fd {
		case w.knocks:
			unix.Read(fd, make([]byte, 8))
		case w.inotify:
			left = w.left()
		default:
			ready = append(ready, fd)
		}
	}
	return ready, left, nil
}

// look watches a directory for what is taken from it or replaced in it.
func (w *watch) look(dir string) (int, error) {
	if w.inotify < 0 {
		return -1, nil
	}
	return unix.InotifyAddWatch(w.inotify, dir, unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_ONLYDIR)
}

// forget ends that.
func (w *watch) forget(watch int) {
	unix.InotifyRmWatch(w.inotify, uint32(watch)) // the directory may be gone, and its watch with it
}

// left reads what inotify(7) has to tell. Our own renames are among it, and
// change nothing for who looks what is there.
func (w *watch) left() map[int]bool {
	watches := map[int]bool{}
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(w.inotify, buf)
		if err != nil || n <= 0 {
			return watches
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			length := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
			file := string(trimNUL(b[unix.SizeofInotifyEvent:length]))
			if file == "" || file == "ok" || file == "control" || file == "lock" {
				watches[int(int32(binary.NativeEndian.Uint32(b)))] = true
			}
			b = b[length:]
		}
	}
}

func trimNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}
