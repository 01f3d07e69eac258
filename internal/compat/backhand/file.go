package backhand

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// The exit statuses of semaphore and state, which tell whether something has
// changed.
const (
	changed   = 0
	unchanged = 1
	broken    = 2
)

// wrongCall is the exit status of a helper that was called wrongly: EINVAL.
const wrongCall = int(syscall.EINVAL)

// update replaces what a file holds, up to limit bytes of it, by what change
// makes of that. Others that do so wait; who only reads finds what was or what
// is, and so does everybody if this process is killed. The file is made if it is
// not there, and then is empty.
func update(path string, limit int64, change func(old string) (string, error)) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := lock(path)
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return err
	}
	text, err := change(string(old))
	if err != nil || text == string(old) {
		return err
	}
	return replace(f, path, text)
}

// lock opens a file and locks it. While it waits, who has the lock puts another
// file in the place of the one it waits for: then it is that which counts.
func lock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err = flock(f); err == nil {
			var mine, there os.FileInfo
			if mine, err = f.Stat(); err == nil {
				there, err = os.Stat(path)
			}
			if err == nil && os.SameFile(mine, there) {
				return f, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// flock waits for the lock on a file or directory, which ends with f.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

// replace puts a new file in the place of a locked one, with its mode and, where
// that is allowed, its owner.
func replace(f *os.File, path, text string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	name := path + ".new"
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) { // of one that was killed
		return err
	}
	n, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		n.Chown(int(owner.Uid), int(owner.Gid))
	}
	_, err = n.WriteString(text)
	if err = errors.Join(err, n.Chmod(info.Mode().Perm()), n.Close()); err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}
