package svlog

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Why nothing is lost or doubled when the daemon is killed at any moment.
//
// What is carried stays in the FIFO until it is in the file:
//
//	1  tee       a copy of the next raw bytes, into a pipe of our own
//	2  mark      {size of the file, length of the text made of them, raw}, open
//	3  write     the text, at the end of the file
//	4  consume   readv(2) of exactly raw bytes; the last one lands in the mark
//	5  clear     the mark
//
// The mark is memory shared with a file, so what was stored in it outlives the
// process. Before step 4 its cell holds the complement of the byte that is to
// land there. The next daemon finds one of these:
//
//	mark not open                        killed before 2 or after 5: the FIFO has what is not in the file
//	cell has the byte                    killed between 4 and 5: readv copies in order, so with its last byte
//	                                     all was copied, and what was copied is out of the FIFO
//	cell has the complement, and the file is
//	  as long as size + length           killed between 3 and 4: to be consumed, not written (nor written anew:
//	                                     somebody may have read it)
//	  shorter                            killed in 3, which may be torn, or before it: the file is cut back to
//	                                     size and all is done again, for the FIFO still has it
//	  (either) but the FIFO has fewer    every descriptor of it was closed while no daemon was there, and what it
//	  than raw bytes                     held is gone: what the file has of it stays
//
// Sizes are compared and no contents, because equal lines are common. It rests
// on this: one daemon at a time (the run directory's lock); nobody else reads
// the FIFO or appends to the file; and readv of bytes that are there is not
// interrupted half-way: the kernel looks for signals only before it sleeps, and
// the memory it copies to was written a moment before, so that no fault stops
// it. Nothing here survives a crash of the kernel, and neither does the FIFO.

// mark is the note of one transaction, in memory that outlives the process.
type mark struct {
	open   atomic.Uint64 // 1 while the rest is valid
	key    uint64        // whose
	size   int64         // of the file, before
	length int64         // of the text
	raw    int64         // bytes to be consumed
	last   byte          // the last of them
	cell   byte          // where it lands
	_      [22]byte
}

const (
	markSize   = 64
	markCount  = 63 // with the header, a page
	marksBytes = markSize * (markCount + 1)
	marksWords = "hotsvc marks 1\n"
)

// begin opens the mark.
func (k *mark) begin(key uint64, size int64, length int, raw []byte) {
	k.key, k.size, k.length, k.raw = key, size, int64(length), int64(len(raw))
	k.last = raw[len(raw)-1]
	k.cell = ^k.last
	k.open.Store(1)
}

func (k *mark) clear() { k.open.Store(0) }

// consumed tells whether the readv of an open mark was done.
func (k *mark) consumed() bool { return k.cell == k.last }

// Marks are the marks of the transactions that are under way, and what a
// transaction needs while it is. All pumps of a daemon share them.
type Marks struct {
	memory []byte

	mu    sync.Mutex
	freed sync.Cond
	taken [markCount]bool
	idle  []*scratch // those that nobody uses
}

// scratchSize is how much a transaction carries at most, in bytes: what a pipe
// holds that nobody has enlarged.
const scratchSize = 64 << 10

// maxIdle is how many scratches are kept for the next transaction.
const maxIdle = 2

// scratch is where one transaction works.
type scratch struct {
	read, write int // ends of a pipe
	buf         []byte
	mark        *mark
	slot        int
}

// OpenMarks maps the file of marks, and makes it where it is missing or not
// ours. Marks of services that are not named are forgotten. The marks can be
// used with an error too: then they do not outlive the process. At most 63
// transactions are under way at a time; others wait.
func OpenMarks(path string, services []string) (*Marks, error) {
	m := &Marks{}
	m.freed.L = &m.mu
	s, err := newScratch()
	if err != nil {
		return nil, fmt.Errorf("svlog: %w", err)
	}
	m.idle = []*scratch{s}
	if m.memory, err = mapMarks(path); err != nil {
		err = fmt.Errorf("svlog: marks %w: lines may be lost or doubled when the daemon is killed", err)
		var anonErr error
		m.memory, anonErr = unix.Mmap(-1, 0, marksBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if anonErr != nil {
			s.close()
			return nil, errors.Join(err, anonErr)
		}
	}
	keys := make([]uint64, len(services))
	for i, name := range services {
		keys[i] = keyOf(name)
	}
	for i := range markCount {
		if k := m.at(i); !slices.Contains(keys, k.key) {
			k.clear()
		}
	}
	return m, err
}

// mapMarks maps the file. It is written in full before, so that a store cannot
// meet a full disk, which would be a SIGBUS.
func mapMarks(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	was := make([]byte, marksBytes+1)
	if n, _ := f.ReadAt(was, 0); n != marksBytes || string(was[:len(marksWords)]) != marksWords {
		fresh := make([]byte, marksBytes)
		copy(fresh, marksWords)
		if err := f.Truncate(0); err != nil {
			return nil, err
		}
		if _, err := f.WriteAt(fresh, 0); err != nil {
			return nil, err
		}
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, marksBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return memory, nil
}

func (m *Marks) at(i int) *mark { return (*mark)(unsafe.Pointer(&m.memory[(i+1)*markSize])) }

// Close lets go of the marks, when every pump has ended.
func (m *Marks) Close() {
	for _, s := range m.idle {
		s.close()
	}
	m.idle = nil
	unix.Munmap(m.memory)
}

// keyOf is a service's name in a mark.
func keyOf(service string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(service))
	return h.Sum64()
}

// take returns what a transaction needs. The mark is the one that a dead daemon
// left open under that key, if it did.
func (m *Marks) take(key uint64) *scratch {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if slot := m.slot(key); slot >= 0 {
			if s := m.spare(); s != nil {
				m.taken[slot] = true
				s.slot, s.mark = slot, m.at(slot)
				return s
			}
		}
		m.freed.Wait()
	}
}

// slot finds a mark that may be used; -1: none. The lock is held.
func (m *Marks) slot(key uint64) int {
	free := -1
	for i := range markCount {
		switch k := m.at(i); {
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
func (m *Marks) spare() *scratch {
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

func (m *Marks) put(s *scratch) {
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

func newScratch() (*scratch, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	return &scratch{read: p[0], write: p[1], buf: make([]byte, scratchSize)}, nil
}

func (s *scratch) close() {
	unix.Close(s.read)
	unix.Close(s.write)
}

// copy copies what is next in a FIFO, and takes nothing out of it. Without an
// error, nothing is its end: nobody has it open for writing.
func (s *scratch) copy(fifo int) ([]byte, error) {
	var n int64
	var err error
	for {
		n, err = unix.Tee(fifo, s.write, scratchSize, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil || n == 0 {
		return nil, err
	}
	for got := 0; got < int(n); {
		k, err := unix.Read(s.read, s.buf[got:n])
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return nil, errors.Join(unix.EIO, err)
		}
		got += k
	}
	return s.buf[:n], nil
}

// consume takes the first n bytes out of a FIFO, into the buffer but for the
// last, which lands in the cell.
func (s *scratch) consume(fifo, n int) {
	at := int(uintptr(unsafe.Pointer(&s.mark.cell)) - uintptr(unsafe.Pointer(s.mark)))
	cell := unsafe.Slice((*byte)(unsafe.Pointer(s.mark)), markSize)[at : at+1]
	for left := n - 1; left >= 0; {
		k, err := unix.Readv(fifo, [][]byte{s.buf[:left], cell})
		switch {
		case err == unix.EINTR:
		case err != nil || k == 0:
			return // somebody else read it
		default:
			left -= k
		}
	}
}
