package supervise

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sessions keeps the trees where there are no cgroups. A process belongs to a
// tree if it is in the session of one of the commands that we started there,
// or descends from such a process, or did when last seen, or holds the tree's
// mark: the note file, locked, which every command inherits as a high
// descriptor. What left the session, lost its parents and closed the mark is
// lost.
type sessions struct {
	notes string // RunDir/run, without symbolic links

	mu    sync.Mutex
	trees map[Tree]*family

	asked   atomic.Uint64 // scans of /proc that were asked for
	scanMu  sync.Mutex
	scanned uint64 // of those, the ones that procs answers
	procs   map[int]stat
}

// family is what is known of a tree.
type family struct {
	leaders []leader
	known   map[int]uint64 // start times of those seen last, by pid
}

// leader began a session. The kernel does not give its pid away while the
// session has members; once it had none, the number means nothing to us.
type leader struct {
	pid     int
	started uint64
	over    bool
}

// markFD is where a command finds its mark: above what shells use for
// themselves, and below the smallest limit.
const markFD = 63

func newSessions(runDir string) (*sessions, error) {
	// No mark may ever be descriptor 63 of the daemon: it would hold itself, and
	// its children before their exec, for a part of the tree.
	if _, err := unix.FcntlInt(markFD, unix.F_GETFD, 0); err == unix.EBADF {
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if null != markFD {
			err = unix.Dup3(null, markFD, unix.O_CLOEXEC)
			unix.Close(null)
		}
		if err != nil {
			return nil, err
		}
	}
	return &sessions{notes: filepath.Join(runDir, "run"), trees: make(map[Tree]*family)}, nil
}

func (s *sessions) mark(t Tree) string { return notePath(filepath.Dir(s.notes), t) }

func (s *sessions) make(t Tree) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees[t] = &family{}
	return nil
}

func (s *sessions) enter(t Tree, attr *syscall.ProcAttr) (func(*process), error) {
	fd := -1
	if len(attr.Files) <= markFD {
		var err error
		if fd, err = unix.Open(s.mark(t), unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("mark %s: %w", s.mark(t), err)
		}
		if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("mark %s: %w", s.mark(t), err)
		}
		for len(attr.Files) < markFD {
			attr.Files = append(attr.Files, ^uintptr(0))
		}
		attr.Files = append(attr.Files, uintptr(fd))
	}
	return func(p *process) {
		if fd >= 0 {
			unix.Close(fd) // from here on only the tree holds the lock
		}
		if p != nil {
			s.adopt(t, p)
		}
	}, nil
}

// adopt takes a command's process, or nil where only the mark is known, into a
// tree.
func (s *sessions) adopt(t Tree, p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.trees[t]
	if f == nil {
		f = &family{}
		s.trees[t] = f
	}
	if p != nil {
		f.leaders = append(f.leaders, leader{pid: p.pid, started: p.started})
	}
}

// scan reads all of /proc, once for all those who asked before it began.
func (s *sessions) scan() (map[int]stat, error) {
	ticket := s.asked.Add(1)
	s.scanMu.Lock()
	defer s.scanMu.Unlock()
	if s.scanned >= ticket {
		return s.procs, nil
	}
	answers := s.asked.Load()
	pids, err := allPids()
	if err != nil {
		return nil, err
	}
	procs := make(map[int]stat, len(pids))
	for _, pid := range pids {
		st, err := readStat(pid)
		switch {
		case err == nil:
			procs[pid] = st
		case lacking(err):
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	s.scanned, s.procs = answers, procs
	return procs, nil
}

// members are the processes of a tree, without zombies, the oldest first.
func (s *sessions) members(t Tree) ([]stat, error) {
	s.mu.Lock()
	f, before := s.trees[t], 0
	if f != nil {
		before = len(f.leaders)
	}
	s.mu.Unlock()
	if f == nil {
		return nil, nil
	}
	held := s.held(t)
	procs, err := s.scan()
	if err != nil {
		return nil, err
	}
	var marked []int
	if held { // mostly nobody does, and the lock says so at once
		before = 0 // for all that the scan may have missed, the session lives
		for pid := range procs {
			if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, markFD)); err == nil && link == s.mark(t) {
				marked = append(marked, pid)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.count(procs, marked, before), nil
}

// held tells whether anybody holds the mark.
func (s *sessions) held(t Tree) bool {
	fd, err := unix.Open(s.mark(t), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return lacking(err)
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil
}

// count finds the family's living in a scan and remembers them. Only the first
// so many leaders were there before it: the session of one of those is over
// when the scan shows nobody.
func (f *family) count(procs map[int]stat, marked []int, before int) []stat {
	mine := make(map[int]bool)
	for pid, started := range f.known {
		mine[pid] = procs[pid].started == started && started != 0
	}
	for _, pid := range marked {
		mine[pid] = true
	}
	for i := range f.leaders {
		l := &f.leaders[i]
		if first, ok := procs[l.pid]; ok && first.started != l.started {
			l.over = true // the number is somebody else's
		}
		if l.over {
			continue
		}
		l.over = i < before
		for pid, st := range procs {
			if st.session == l.pid && st.started >= l.started {
				mine[pid], l.over = true, false
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for pid, st := range procs {
			if !mine[pid] && mine[st.parent] {
				mine[pid], grown = true, true
			}
		}
	}
	f.known = make(map[int]uint64)
	var living []stat
	for pid, is := range mine {
		if st := procs[pid]; is && st.pid != 0 && !st.zombie() {
			f.known[pid] = st.started
			living = append(living, st)
		}
	}
	slices.SortFunc(living, older)
	return living
}

func older(a, b stat) int {
	return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.pid, b.pid))
}

// signal reaches whom a scan shows. What was forked meanwhile is in the next
// one: KILL goes on until there is nobody new, or the forks outrun it.
func (s *sessions) signal(t Tree, sig syscall.Signal) error {
	done := make(map[int]uint64)
	for range maxScans {
		living, err := s.members(t)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(living, func(m stat) bool { return done[m.pid] == m.started })
		var errs []error
		for _, m := range fresh {
			done[m.pid] = m.started
			errs = append(errs, signalChecked(m.pid, sig, func() bool {
				now, err := readStat(m.pid)
				return err == nil && now.started == m.started
			}))
		}
		if err := errors.Join(errs...); err != nil || len(fresh) == 0 || sig != syscall.SIGKILL {
			return err
		}
	}
	return nil
}

const maxScans = 100

// state believes the mark more than the scan, which is no picture of one moment:
// of a storm of forks it may see nobody. A child of ours that is about to exec
// holds every mark for a moment; that is waited for.
func (s *sessions) state(t Tree) (int, error) {
	for range 10 {
		living, err := s.members(t)
		if err != nil {
			return -1, err
		}
		if len(living) > 0 || !s.held(t) {
			return len(living), nil
		}
		time.Sleep(time.Millisecond)
	}
	return 1, nil
}

// await can only look again: nothing tells when a session is empty.
func (s *sessions) await(_ Tree, d time.Duration) { time.Sleep(d) }

func (s *sessions) remove(t Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.trees, t)
}

// whose asks the session, the parents and at last the mark.
func (s *sessions) whose(pid int) (Tree, bool) {
	for p, depth := pid, 0; p > 1 && depth < 64; depth++ {
		st, err := readStat(p)
		if err != nil {
			break
		}
		if t, ok := s.family(st); ok {
			return t, true
		}
		p = st.parent
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, markFD))
	path, ok := strings.CutPrefix(link, s.notes+"/")
	return treeOfPath(path, err == nil && ok)
}

func (s *sessions) family(st stat) (Tree, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, f := range s.trees {
		for _, l := range f.leaders {
			if l.pid == st.session && !l.over && st.started >= l.started {
				return t, true
			}
		}
		if started, ok := f.known[st.pid]; ok && started == st.started {
			return t, true
		}
	}
	return Tree{}, false
}

func (s *sessions) close() {}
