package svlog

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// scratchSize is how much a transaction carries at most, in bytes: what a pipe
// holds that nobody has enlarged.
const scratchSize = 64 << 10

// scratch is where one transaction works.
type scratch struct {
	read, write int // ends of a pipe
	buf         []byte
	mark        *mark
	slot        int
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
