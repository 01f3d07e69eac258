package svlog

import (
	"hash/fnv"
	"os"
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

// markAt is the i-th mark of those in memory.
func markAt(memory []byte, i int) *mark {
	return (*mark)(unsafe.Pointer(&memory[(i+1)*markSize]))
}

// keyOf is a service's name in a mark.
func keyOf(service string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(service))
	return h.Sum64()
}
