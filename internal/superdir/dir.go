package superdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// superviseName is the directory in a service's own.
const superviseName = "supervise"

// files are the open ends of one supervise/: they are what tells others that
// somebody supervises.
type files struct {
	service string // "": claimed, and not known yet whose it is
	dir     string // the service's
	lock    int
	ok      int
	watch   int // of inotify; -1: none

	next    Status // to be written
	written Status
	fresh   bool // nothing has been written yet

	reading sync.Mutex // what is read from control is posted before more is
	control int        // -1: closed
}

func (d *files) path(file string) string { return filepath.Join(d.dir, superviseName, file) }

// makeDir makes DIR/supervise. It may be a symlink, whose target is made then:
// that is how a read-only directory has its supervise/ elsewhere.
func makeDir(dir string) error {
	path := filepath.Join(dir, superviseName)
	err := os.Mkdir(path, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	target, err := os.Readlink(path)
	if err != nil {
		return nil // no symlink
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(dir, target)
	}
	return os.MkdirAll(target, 0o700)
}

// errBusy is a directory that another supervises.
type errBusy struct {
	dir string
	pid int // 0: not known
}

func (e *errBusy) Error() string {
	who := "another supervisor"
	if e.pid > 0 {
		who += fmt.Sprintf(" (pid %d)", e.pid)
	}
	return fmt.Sprintf("%s is under %s: end that one, then `hsctl reload`", e.dir, who)
}

// lock takes DIR/supervise/lock. The error is an *errBusy when it is taken.
func lock(dir string) (int, error) {
	if err := makeDir(dir); err != nil {
		return -1, err
	}
	path := filepath.Join(dir, superviseName, "lock")
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return fd, nil
	}
	defer unix.Close(fd)
	if err == unix.EWOULDBLOCK {
		return -1, &errBusy{dir, holder(fd)}
	}
	return -1, &fs.PathError{Op: "lock", Path: path, Err: err}
}

// holder is the pid that /proc/locks (proc(5)) has for the flock of a file; 0
// where it has none, as for a process of another pid namespace.
func holder(fd int) int {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(locks)) { // 1: FLOCK ADVISORY WRITE 812 fe:01:99142 0 EOF
		if f := strings.Fields(line); len(f) > 5 && f[1] == "FLOCK" && f[5] == file {
			pid, _ := strconv.Atoi(f[4])
			return max(0, pid)
		}
	}
	return 0
}

// open makes a directory ours, with all that says so. The error is an *errBusy
// when it is another's.
func open(dir string) (*files, error) {
	fd, err := lock(dir)
	if err != nil {
		return nil, err
	}
	d := &files{dir: dir, watch: -1, lock: fd, ok: -1, control: -1, fresh: true}
	if err = d.begin(); err == nil {
		// Open for writing too, so that it has no end between one writer and the next.
		d.control, err = openFIFO(d.path("control"), unix.O_RDWR)
	}
	if err == nil { // the last: who finds it counts on the others
		d.ok, err = openFIFO(d.path("ok"), unix.O_RDONLY)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// begin writes that the service is down, unless an earlier supervisor has left
// how it is: it may be running. The first line of a service's run may be to look.
func (d *files) begin() error {
	if _, err := os.Lstat(d.path("status")); err == nil {
		return nil
	}
	defer func() { d.fresh = true }() // what it really is has yet to be told
	return d.write(Status{Since: time.Now(), WantUp: true})
}

// openFIFO opens a FIFO, made where it is missing. One that is there keeps its
// mode: that is how an administrator lets others in.
func openFIFO(path string, how int) (int, error) {
	err := unix.Mkfifo(path, 0o600)
	made := err == nil
	if err != nil && err != unix.EEXIST {
		return -1, &fs.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	fd, err := unix.Open(path, how|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		err = errors.New("it is no FIFO: remove it")
	}
	if err == nil && made {
		err = unix.Fchmod(fd, 0o600) // whatever the umask
	}
	if err != nil {
		unix.Close(fd)
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// close ends our supervision: `ok` says so from now on. The files stay.
func (d *files) close() {
	d.reading.Lock()
	defer d.reading.Unlock()
	for _, fd := range []int{d.control, d.ok, d.lock} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	d.control, d.ok, d.lock = -1, -1, -1
}

// gone names what is missing of what we have open.
func (d *files) gone() (missing []string) {
	for _, f := range []struct {
		name string
		fd   int
	}{{"ok", d.ok}, {"control", d.control}, {"lock", d.lock}} {
		var ours, there unix.Stat_t
		if unix.Fstat(f.fd, &ours) != nil || unix.Lstat(d.path(f.name), &there) != nil || ours.Ino != there.Ino || ours.Dev != there.Dev {
			missing = append(missing, d.path(f.name))
		}
	}
	return missing
}

// write brings status, stat and pid up to date. Each is whole at any moment.
func (d *files) write(s Status) error {
	old := d.written
	d.next = s
	if !d.fresh && old == s {
		return nil
	}
	if d.fresh || old.pid() != s.pid() {
		if err := d.replace("pid", []byte(s.pid())); err != nil {
			return err
		}
	}
	if d.fresh || old.stat() != s.stat() {
		if err := d.replace("stat", []byte(s.stat())); err != nil {
			return err
		}
	}
	b := s.Encode()
	if err := d.replace("status", b[:]); err != nil {
		return err
	}
	d.written, d.fresh = s, false
	return nil
}

// replace writes a file under another name and gives it its own. What has that
// other name is not followed: the directory may be an ordinary user's.
func (d *files) replace(file string, data []byte) error {
	path := d.path(file)
	temp := path + ".new"
	const how = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC
	fd, err := unix.Open(temp, how, 0o644)
	if err == unix.EEXIST {
		unix.Unlink(temp)
		fd, err = unix.Open(temp, how, 0o644)
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: temp, Err: err}
	}
	if err = unix.Fchmod(fd, 0o644); err == nil {
		_, err = unix.Write(fd, data)
	}
	if e := unix.Close(fd); err == nil {
		err = e
	}
	if err == nil {
		err = unix.Rename(temp, path)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
