package svlog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Files returns the paths of a directory's files, the oldest first; current, if
// there is one, is the last. A file that the processor has before it is its input.
func Files(path string) ([]string, error) {
	names, err := rotated(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(path, "current")); err == nil {
		names = append(names, "current")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for i, n := range names {
		names[i] = filepath.Join(path, n)
	}
	return names, nil
}

// rotated returns the names of the rotated files, one for each rotation, the
// oldest first.
func rotated(path string) ([]string, error) {
	all, err := readNames(os.DirFS(path))
	var names []string
	for _, n := range all { // .s comes before .t and .u of the same time
		if n[labelLen+1] != 't' && (len(names) == 0 || names[len(names)-1][:labelLen] != n[:labelLen]) {
			names = append(names, n)
		}
	}
	return names, err
}

// readNames returns what belongs to rotated files, sorted.
func readNames(dir fs.FS) ([]string, error) {
	var names []string
	all, err := fs.ReadDir(dir, ".")
	for _, e := range all {
		n := e.Name()
		_, _, ok := scanLabel([]byte(n))
		if ok && len(n) == labelLen+2 && n[labelLen] == '.' && bytes.IndexByte([]byte("stu"), n[labelLen+1]) >= 0 {
			names = append(names, n)
		}
	}
	return names, err
}

// tailOffset is where the last n lines of f begin; left is how many of them are
// in the files before. A last line without end counts.
func tailOffset(f *os.File, n int) (offset int64, left int, err error) {
	st, err := f.Stat()
	if err != nil || n == 0 {
		return st.Size(), 0, err
	}
	block := make([]byte, 64<<10)
	end := st.Size() - 1 // a newline there ends the last line and begins none
	for end > 0 {
		from := max(0, end-int64(len(block)))
		b := block[:end-from]
		if _, err := f.ReadAt(b, from); err != nil {
			return 0, 0, err
		}
		for i := bytes.LastIndexByte(b, '\n'); i >= 0; i = bytes.LastIndexByte(b[:i], '\n') {
			if n--; n == 0 {
				return from + int64(i) + 1, 0, nil
			}
		}
		end = from
	}
	if st.Size() > 0 {
		n--
	}
	return 0, n, nil
}
