package svlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// seek finds where the last lines begin, by counting from the end.
func (r *Reader) seek() error {
	names, err := rotated(r.path)
	if err != nil || r.o.Last < 0 {
		return err
	}
	r.past = newest(names)
	f, err := r.openCurrent(names)
	if errors.Is(err, errRotated) {
		return r.seek()
	}
	left := r.o.Last
	for i := len(names); ; i-- {
		if err == nil {
			r.offset, left, err = tailOffset(f, left)
			f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.past = newest(names[:i])
		if left == 0 || i == 0 {
			return nil
		}
		f, err = os.Open(filepath.Join(r.path, names[i-1]))
	}
}

// open opens the next file, if none is open and there is one.
func (r *Reader) open() error {
	for r.file == nil {
		names, err := rotated(r.path)
		if err != nil {
			return err
		}
		r.name = ""
		for _, n := range names {
			if n[:labelLen] > r.past {
				r.name = n
				break
			}
		}
		var f *os.File
		if r.name == "" {
			f, err = r.openCurrent(names)
		} else {
			f, err = os.Open(filepath.Join(r.path, r.name))
		}
		switch {
		case errors.Is(err, errRotated), errors.Is(err, fs.ErrNotExist) && r.name != "":
			continue // renamed or deleted while we looked
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		if err := r.begin(f, names); err != nil {
			f.Close()
			return err
		}
	}
	return nil
}

// errRotated says that a list of names is not true any more.
var errRotated = errors.New("rotated")

// openCurrent opens current as it is after the rotated files of names.
func (r *Reader) openCurrent(names []string) (*os.File, error) {
	f, err := os.Open(filepath.Join(r.path, "current"))
	again, listErr := rotated(r.path)
	if listErr == nil && newest(again) != newest(names) {
		listErr = errRotated
	}
	if listErr != nil {
		f.Close()
		return nil, listErr
	}
	return f, err
}

// newest returns the label of the last of names, "" if there is none.
func newest(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1][:labelLen]
}

// begin goes on with f.
func (r *Reader) begin(f *os.File, names []string) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if r.offset > 0 {
		if _, err := f.Seek(min(r.offset, st.Size()), io.SeekStart); err != nil {
			return err
		}
	}
	if !r.stamped { // no line tells when it was written: the file has to
		r.show = !st.ModTime().Before(r.o.Since)
	}
	if r.name != "" {
		r.past = r.name[:labelLen]
	} else {
		r.past = max(r.past, newest(names))
	}
	r.in.Reset(f)
	r.file, r.offset, r.fresh, r.gone = f, 0, true, false
	return nil
}

// over says, at the end of the open file, whether there is nothing more to read
// now. A file that has another after it is closed.
func (r *Reader) over() bool {
	switch {
	case r.file == nil:
		return true
	case r.name != "":
		st, err := r.file.Stat() // a .u file may be waiting for the processor, or have been left behind
		r.whole = r.name[labelLen+1] == 's' || err == nil && st.Mode()&0o100 != 0
		r.Close()
		return false
	case !r.o.Follow:
		return true
	}
	st, err := r.file.Stat()
	if err != nil {
		return true
	}
	if now, err := os.Stat(filepath.Join(r.path, "current")); err == nil && os.SameFile(now, st) {
		if at, err := r.file.Seek(0, io.SeekCurrent); err == nil && at > st.Size() { // somebody truncated it
			r.file.Seek(0, io.SeekStart)
		}
		return true
	}
	if !r.gone { // what was written before it was renamed is still to be read
		r.gone = true
		return false
	}
	r.leave(st)
	return false
}

// leave finds where the file that was current is now among the rotated ones, so
// that the next after it is read next.
func (r *Reader) leave(current fs.FileInfo) {
	names, _ := rotated(r.path)
	before := r.past == "" // there is still what came before it
	successor := ""
	for _, n := range names {
		switch l := n[:labelLen]; {
		case l == r.past:
			before = true
		case l > r.past:
			if successor == "" {
				successor = l
			}
			if st, err := os.Stat(filepath.Join(r.path, n)); err == nil && os.SameFile(st, current) {
				r.past, before = l, false
			}
		}
	}
	if before { // it was processed already: what has its time now is another file
		r.past = max(r.past, successor)
	}
	r.whole = true
	r.Close()
}
