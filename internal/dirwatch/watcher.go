package dirwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	quiet    = 30 * time.Millisecond  // changes are told when none came for so long
	patience = 500 * time.Millisecond // and then anyhow
)

// Watcher tells of changes in trees.
type Watcher struct {
	changed func()
	log     func(string)
	file    *os.File // the inotify descriptor

	mu     sync.Mutex
	trees  []string
	marks  map[int]mark // by watch descriptor
	silent bool         // it has said that it cannot watch all
}

// New makes a watcher. changed is called on the watcher's goroutine, with no
// watch missing since before the call; log is told, once, what cannot be
// watched. The error is the system's: EMFILE, ENOSYS.
func New(changed func(), log func(string)) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("dirwatch: inotify: %w: changes in service trees wait for a reload", err)
	}
	return &Watcher{changed: changed, log: log, file: os.NewFile(uintptr(fd), "inotify"), marks: map[int]mark{}}, nil
}

// Follow watches these directories from now on, in place of those before. They
// need not be there.
func (w *Watcher) Follow(trees []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trees = trees
	w.cover()
}

// Run waits for changes until the context ends, and lets go of everything then.
func (w *Watcher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	defer stop()
	for {
		if err := w.settle(); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("dirwatch: %w", err)
		}
		w.mu.Lock()
		w.cover() // before the trees are read: what changes after that is told again
		w.mu.Unlock()
		w.changed()
	}
}

// settle returns when there was a change and it is over.
func (w *Watcher) settle() error {
	w.file.SetReadDeadline(time.Time{})
	var last time.Time
	for {
		matters, err := w.read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case !matters:
			continue
		}
		now := time.Now()
		if last.IsZero() {
			last = now.Add(patience)
		}
		next := now.Add(quiet)
		if next.After(last) {
			next = last
		}
		w.file.SetReadDeadline(next)
	}
}

// read takes some events in and tells whether one of them matters.
func (w *Watcher) read() (matters bool, err error) {
	var buf [4096]byte
	n, err := w.file.Read(buf[:])
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
		end := unix.SizeofInotifyEvent + int(e.Len)
		name := unix.ByteSliceToString(rest[unix.SizeofInotifyEvent:end])
		rest = rest[end:]
		switch m, known := w.marks[int(e.Wd)]; {
		case e.Mask&unix.IN_Q_OVERFLOW != 0:
			matters = true
		case e.Mask&unix.IN_IGNORED != 0:
			delete(w.marks, int(e.Wd))
		case known && m.matters(name, e.Mask):
			matters = true
		}
	}
	return matters, nil
}

// cover sets the watches that the trees need as they are now, and takes back
// those that they do not need any more. The lock is held.
func (w *Watcher) cover() {
	c := cover{marks: map[int]mark{}}
	conn, err := w.file.SyscallConn()
	if err != nil {
		return // closed: nobody is told any more
	}
	conn.Control(func(fd uintptr) {
		c.fd = int(fd)
		for _, tree := range w.trees {
			c.tree(filepath.Clean(tree))
		}
		for wd := range w.marks {
			if _, used := c.marks[wd]; !used {
				unix.InotifyRmWatch(c.fd, uint32(wd))
			}
		}
	})
	w.marks = c.marks
	if c.err != nil && !w.silent {
		w.silent = true
		w.log(fmt.Sprintf("not all service trees can be watched (%v): after a change there, hsctl reload; sysctl fs.inotify.max_user_watches may help", c.err))
	}
}
