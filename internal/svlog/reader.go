package svlog

import (
	"bufio"
	"context"
	"io"
	"os"
	"time"
)

// ReadOptions say what a Reader returns.
type ReadOptions struct {
	Last   int       // so many lines from the end; -1: all
	Since  time.Time // only lines from then on; zero: all. One without a stamp goes with the one before
	Follow bool      // and then what comes, across rotations
}

// longest is how many bytes of a line a Reader returns in one piece.
const longest = 1 << 20

// poll is how often a Reader that follows looks again.
const poll = 100 * time.Millisecond

// Reader reads the lines of a log directory, oldest first, across its files. It
// needs no lock, and nobody has to be writing.
type Reader struct {
	path string
	o    ReadOptions

	file   *os.File // nil: none is open
	name   string   // of the rotated file that is open; "": it is current
	past   string   // label: what is named so, or older, comes before what is open
	offset int64    // at which to begin in the first file
	gone   bool     // current has another name, or none
	in     *bufio.Reader
	fresh  bool // nothing of this file has been looked at
	whole  bool // the file before was closed well: a line may go on in this one

	line    []byte // what there is of the line so far
	show    bool   // by Since
	stamped bool   // a stamp has been seen
}

// OpenReader begins to read a directory, which has to exist; a file need not.
func OpenReader(path string, o ReadOptions) (*Reader, error) {
	r := &Reader{path: path, o: o, show: true, in: bufio.NewReaderSize(nil, 64<<10)}
	err := r.seek()
	return r, err
}

// Close lets go of the file that is open.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// Next returns the next line without its newline, valid until the next call. At
// the end it returns io.EOF, or with Follow waits until ctx is done, and then
// returns its error. A last line without end is returned at the end; with Follow
// it is waited for.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	for {
		if err := r.open(); err != nil {
			return nil, err
		}
		ended, err := r.read()
		switch {
		case err != nil && err != io.EOF:
			return nil, err
		case err == io.EOF && r.over():
			if !r.o.Follow && len(r.line) == 0 {
				return nil, io.EOF
			}
			if ended = !r.o.Follow; ended {
				break
			}
			r.show = true // whatever comes is new
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(poll):
			}
		}
		if ended && r.wanted() {
			line := r.line
			r.line = r.line[:0]
			if n := len(line); n > 0 && line[n-1] == '\n' {
				line = line[:n-1]
			}
			return line, nil
		}
		if ended {
			r.line = r.line[:0]
		}
	}
}

// read adds to the line what there is of it, and says whether it is complete.
func (r *Reader) read() (ended bool, err error) {
	if r.file == nil {
		return false, io.EOF
	}
	if r.fresh {
		b, err := r.in.Peek(64)
		if len(b) == 0 {
			return false, err
		}
		r.fresh = false
		if _, _, begins := ParseStamp(b); len(r.line) > 0 && (begins || !r.whole) {
			return true, nil
		}
	}
	b, err := r.in.ReadSlice('\n')
	r.line = append(r.line, b...)
	if err == bufio.ErrBufferFull {
		err = nil
	}
	return len(b) > 0 && b[len(b)-1] == '\n' || len(r.line) >= longest, err
}

// wanted says whether Since lets the line through.
func (r *Reader) wanted() bool {
	if r.o.Since.IsZero() {
		return true
	}
	if t, _, ok := ParseStamp(r.line); ok {
		r.show, r.stamped = !t.Before(r.o.Since), true
	}
	return r.show
}
