package svlog

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Pumps are all pumps of a daemon, and what they share: the marks, the scratches
// of the transactions that are under way, and one goroutine that waits for all
// FIFOs. So a pump that has nothing to carry costs a descriptor.
type Pumps struct {
	owner  PumpOwner
	memory []byte
	epoll  *os.File

	mu    sync.Mutex
	freed sync.Cond
	taken [markCount]bool
	idle  []*scratch // those that nobody uses
	pumps map[int32]*Pump
}

// PumpOwner is who has the services whose output is carried. It is called from
// goroutines of the pumps.
type PumpOwner interface {
	// OpenSink opens where a service's output goes, when there is some.
	OpenSink(service string) (Sink, error)
	// LostOutput is told why something was dropped.
	LostOutput(service string, why error)
	// OutputEnds is called when nobody seems to have the FIFO open any more; the
	// sink is closed. It answers whether the pump is to end; still looks again.
	OutputEnds(p *Pump, still func() bool) bool
}

// maxIdle is how many scratches are kept for the next transaction.
const maxIdle = 2

// OpenPumps maps the file of marks, and makes it where it is missing or not
// ours. Marks of services that are not named are forgotten. With an error the
// pumps may be usable (not nil): then the marks do not outlive the process. At
// most 63 transactions are under way at a time; others wait.
func OpenPumps(path string, services []string, owner PumpOwner) (*Pumps, error) {
	s, err := newScratch()
	if err != nil {
		return nil, fmt.Errorf("svlog: %w", err)
	}
	m := &Pumps{owner: owner, idle: []*scratch{s}, pumps: make(map[int32]*Pump)}
	m.freed.L = &m.mu
	memory, markErr := mapMarks(path)
	if markErr != nil {
		markErr = fmt.Errorf("svlog: marks: %w: lines may be lost or doubled when the daemon is killed", markErr)
		memory, err = unix.Mmap(-1, 0, marksBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	}
	fd := -1
	if err == nil {
		m.memory = memory
		fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that the runtime polls it
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("svlog: %w", errors.Join(markErr, err))
	}
	m.epoll = os.NewFile(uintptr(fd), "epoll")
	keys := make([]uint64, len(services))
	for i, name := range services {
		keys[i] = keyOf(name)
	}
	for i := range markCount {
		if k := markAt(memory, i); !slices.Contains(keys, k.key) {
			k.clear()
		}
	}
	go m.wait()
	return m, markErr
}

// wait wakes the pumps whose FIFO has something, until Close.
func (m *Pumps) wait() {
	conn, err := m.epoll.SyscallConn()
	var events [64]unix.EpollEvent
	for err == nil {
		n := 0
		err = conn.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		for _, e := range events[:max(n, 0)] {
			m.mu.Lock()
			p := m.pumps[e.Fd]
			m.mu.Unlock()
			if p != nil {
				p.wake()
			}
		}
	}
}

// watch changes what the goroutine that waits knows of a FIFO. An event is told
// once, until the FIFO is watched anew.
func (m *Pumps) watch(op, fd int) (err error) {
	conn, err := m.epoll.SyscallConn()
	if err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(fd)}
	cerr := conn.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, fd, &event) })
	return errors.Join(cerr, err)
}

// Ended waits until every pump has ended, and tells whether that was in time.
func (m *Pumps) Ended(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, p := range m.living() {
		select {
		case <-p.done:
		case <-timer.C:
			return false
		}
	}
	return true
}

// living are the pumps that have not ended, also those that are about to.
func (m *Pumps) living() []*Pump {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.pumps))
}

// Close stops all pumps and lets go of the marks, but for a pump that is stuck in
// the disk for longer than patience: it keeps them. What is in the FIFOs stays.
func (m *Pumps) Close(patience time.Duration) {
	for _, p := range m.living() {
		p.Stop()
	}
	if !m.Ended(patience) {
		return
	}
	m.epoll.Close()
	for _, s := range m.idle {
		s.close()
	}
	m.idle = nil
	unix.Munmap(m.memory)
}

// take returns what a transaction needs. The mark is the one that a dead daemon
// left open under that key, if it did.
func (m *Pumps) take(key uint64) *scratch {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if slot := m.slot(key); slot >= 0 {
			if s := m.spare(); s != nil {
				m.taken[slot] = true
				s.slot, s.mark = slot, markAt(m.memory, slot)
				return s
			}
		}
		m.freed.Wait()
	}
}

// slot finds a mark that may be used; -1: none. The lock is held.
func (m *Pumps) slot(key uint64) int {
	free := -1
	for i := range markCount {
		switch k := markAt(m.memory, i); {
		case m.taken[i]:
		case k.open.Load() == 0:
			free = i
		case k.key == key:
			return i
		}
	}
	return free
}

// spare finds or makes a scratch. Where no descriptors are left, it is nil: one
// always exists, and is waited for. The lock is held.
func (m *Pumps) spare() *scratch {
	if n := len(m.idle); n > 0 {
		s := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return s
	}
	s, err := newScratch()
	if err != nil {
		return nil
	}
	return s
}

func (m *Pumps) put(s *scratch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken[s.slot] = false
	s.mark = nil
	if len(m.idle) < maxIdle {
		m.idle = append(m.idle, s)
	} else {
		s.close()
	}
	m.freed.Signal()
}
