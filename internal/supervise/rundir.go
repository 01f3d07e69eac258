package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
	"hotsvc/internal/trust"
)

const lockPatience = 2 * time.Second

// Lock makes this process the only daemon of a run directory, which it makes
// where it is missing. One that others could write to is refused: they could
// have us write to files of their choice. It tries for two seconds: a child between fork and exec
// of a daemon that just died may still hold the lock.
//
// Closing the file gives the lock up; a descriptor of it that is inherited keeps it.
func Lock(runDir string) (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("supervise: run dir %w", err)
	}
	if why := trust.Own(runDir); why != nil {
		return nil, fmt.Errorf("supervise: run dir: %w, or name another with --run-dir", why)
	}
	f, err := os.OpenFile(filepath.Join(runDir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("supervise: run dir %s: %w", runDir, err)
	}
	deadline := time.Now().Add(lockPatience)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && err != unix.EINTR || time.Now().After(deadline) {
			owner := make([]byte, 16)
			n, _ := f.ReadAt(owner, 0)
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("supervise: run dir %s: another hotsvc (pid %s) owns it", runDir, bytes.TrimSpace(owner[:n]))
			}
			return nil, fmt.Errorf("supervise: run dir %s: lock: %w", runDir, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	// The pid is for people; what counts is the lock.
	pid := fmt.Appendf(nil, "%d\n", os.Getpid())
	if err := errors.Join(f.Truncate(0), writeAt(f, pid)); err != nil {
		f.Close()
		return nil, fmt.Errorf("supervise: run dir %s: lock: %w", runDir, err)
	}
	return f, nil
}

// ReadRecords reads what a daemon of that directory has written down, while it
// runs or after its end.
func ReadRecords(runDir string) (all map[string][]byte, global []byte, err error) {
	global, err = os.ReadFile(filepath.Join(runDir, "global"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("supervise: %w", err)
	}
	all = map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(runDir, "svc"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("supervise: %w", err)
	}
	for _, e := range entries {
		name, ok := service.FromFileName(e.Name())
		text, err := os.ReadFile(filepath.Join(runDir, "svc", e.Name()))
		if ok && err == nil { // else it is half written, or has just been removed
			all[name] = text
		}
	}
	return all, global, nil
}

func writeAt(f *os.File, b []byte) error {
	_, err := f.WriteAt(b, 0)
	return err
}

// replace writes a file as a whole: a reader sees the old or the new text. No
// fsync: a dead process is not a dead kernel, and the run directory is a tmpfs.
func replace(path string, text []byte) error {
	dir, name := filepath.Split(path)
	tmp := dir + "." + name + ".tmp"
	err := writeFile(tmp, text)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// writeFile is os.WriteFile without its tries to put a plain file in the
// poller, which are half of its system calls: every start waits for three files.
func writeFile(path string, text []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	if err == nil {
		var n int
		if n, err = unix.Write(fd, text); err == nil && n < len(text) {
			err = unix.ENOSPC
		}
		err = errors.Join(err, unix.Close(fd))
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// records reads every record in a directory, by service.
func records(dir string) (all map[string][]byte, damaged []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	all = make(map[string][]byte)
	for _, e := range entries {
		name, ok := service.FromFileName(e.Name())
		if !ok || strings.HasPrefix(e.Name(), ".") {
			os.Remove(filepath.Join(dir, e.Name())) // half a record: its writer died
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			damaged = append(damaged, fmt.Sprintf("the record of %s cannot be read: %v", name, err))
			continue // costs what was in it, and nothing else
		}
		all[name] = text
	}
	return all, damaged, nil
}
