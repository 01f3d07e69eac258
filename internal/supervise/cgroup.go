package supervise

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
)

// cgroups keeps every attempt in a cgroup of its own: root/NAME/ATTEMPT. Never
// one for two spawns: after cgroup.kill was written to a cgroup, kernels from
// 6.12 on (at the least) kill whatever is cloned into it later at birth.
type cgroups struct {
	root string // …/hotsvc-1a2b3c4d
}

// rootName makes the name of the cgroup under which a daemon works. It carries
// its run directory, so that two daemons never take each other's services.
func rootName(runDir string) string {
	h := fnv.New32a()
	h.Write([]byte(runDir))
	return fmt.Sprintf("hotsvc-%08x", h.Sum32())
}

// newCgroups looks for a place where cgroups can be made and cloned into:
// under is a directory of a cgroup2 file system, or empty. The root of the
// daemon before us, or "", comes first.
func newCgroups(runDir, under, before string) (*cgroups, error) {
	places := []string{under}
	if under == "" {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return nil, err
		}
		own, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			return nil, err
		}
		places = cgroupPlaces(string(mounts), string(own))
		if before != "" {
			places = append([]string{filepath.Dir(before)}, places...)
		}
	}
	err := errors.New("no cgroup2 file system is mounted")
	for _, place := range places {
		c := &cgroups{root: filepath.Join(place, rootName(runDir))}
		if err = c.try(); err == nil {
			return c, nil
		}
		os.Remove(c.root)
	}
	return nil, err
}

// cgroupPlaces lists where to try: our own cgroup, by every cgroup2 mount that
// shows it, then the mount points themselves.
func cgroupPlaces(mountinfo, own string) (places []string) {
	path := ""
	for line := range strings.Lines(own) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			path = strings.TrimSuffix(rest, "\n")
		}
	}
	var tops []string
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		before, after, ok := strings.Cut(line, " - ")
		if !ok || !strings.HasPrefix(after, "cgroup2 ") || len(strings.Fields(before)) < 6 {
			continue
		}
		shown, point := unescapeMount(f[3]), unescapeMount(f[4])
		if rel, err := filepath.Rel(shown, path); err == nil && filepath.IsLocal(rel) {
			places = append(places, filepath.Join(point, rel))
		}
		tops = append(tops, point)
	}
	return append(places, tops...)
}

// unescapeMount undoes \040 and the like of proc(5) mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// try makes the root and clones into a cgroup below it, as a spawn would.
func (c *cgroups) try() error {
	if err := os.Mkdir(c.root, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	err := c.probe()
	if err != errStillborn {
		return err
	}
	// Our own cgroup was killed once, before we were in it: on kernels with the
	// bug above every clone out of it dies. A fresh one has no such past.
	self := filepath.Join(c.root, ".self")
	if err := os.Mkdir(self, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.WriteFile(filepath.Join(self, "cgroup.procs"), []byte("0"), 0); err != nil {
		return err
	}
	return c.probe()
}

var errStillborn = errors.New("processes cloned into a cgroup die at birth (kernel bug)")

// probe clones a child that cannot execute anything. What it says tells what
// became of the clone.
func (c *cgroups) probe() error {
	dir := filepath.Join(c.root, ".probe")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	defer os.Remove(dir)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	if _, err := os.Stat(filepath.Join(dir, "cgroup.events")); err != nil {
		return fmt.Errorf("%s is no cgroup2 directory", c.root)
	}
	pid, err := syscall.ForkExec(dir+"/nothing", []string{"nothing"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd},
	})
	switch err {
	case syscall.ENOENT:
		return nil // it lived long enough to say so
	case nil:
		syscall.Wait4(pid, nil, 0, nil)
		return errStillborn
	}
	return fmt.Errorf("clone into cgroup %s: %w", dir, err)
}

func (c *cgroups) dir(t Tree) string {
	return filepath.Join(c.root, service.FileName(t.Service), strconv.FormatInt(t.Attempt, 10))
}

func (c *cgroups) make(t Tree) error {
	dir := c.dir(t)
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	c.prune(parent)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cgroup %s: processes of an earlier life are in it", dir)
	}
	return err
}

// prune removes what is empty by now of a service's cgroups: those that were
// left behind while something lived in them. The kernel refuses the others.
func (c *cgroups) prune(parent string) {
	var st unix.Stat_t
	if unix.Stat(parent, &st) == nil && st.Nlink == 2 {
		return // there is no directory in it
	}
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(parent, e.Name()))
		}
	}
}

func (c *cgroups) pruneAll() {
	entries, _ := os.ReadDir(c.root)
	for _, e := range entries {
		if e.IsDir() {
			c.prune(filepath.Join(c.root, e.Name()))
			unix.Rmdir(filepath.Join(c.root, e.Name()))
		}
	}
}

// removeCgroup removes a cgroup and those that its processes made below.
func removeCgroup(dir string) {
	if unix.Rmdir(dir) != unix.EBUSY {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	unix.Rmdir(dir)
}

func (c *cgroups) enter(t Tree, attr *syscall.ProcAttr) (func(*process), error) {
	fd, err := unix.Open(c.dir(t), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "cgroup", Path: c.dir(t), Err: err}
	}
	attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	return func(*process) { unix.Close(fd) }, nil
}

func (c *cgroups) adopt(Tree, *process) {}

func (c *cgroups) signal(t Tree, sig syscall.Signal) error {
	if sig == syscall.SIGKILL {
		// Reaches those that are being forked too. Missing before 5.14.
		err := os.WriteFile(filepath.Join(c.dir(t), "cgroup.kill"), []byte("1"), 0)
		if err == nil {
			return nil
		}
	}
	pids, err := cgroupPids(c.dir(t))
	errs := []error{err}
	for _, pid := range pids {
		errs = append(errs, signalChecked(pid, sig, func() bool {
			now, ok := c.whose(pid)
			return ok && now == t
		}))
	}
	return errors.Join(errs...)
}

// cgroupPids lists the processes of a cgroup and those below; 0 stands for one
// that is not of our pid namespace.
func cgroupPids(dir string) (pids []int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // threaded: its processes are in the list of the one above
		return nil, ignoreRemoved(err)
	}
	for _, f := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	entries, err := os.ReadDir(dir)
	errs := []error{ignoreRemoved(err)}
	for _, e := range entries {
		if e.IsDir() {
			below, err := cgroupPids(filepath.Join(dir, e.Name()))
			pids, errs = append(pids, below...), append(errs, err)
		}
	}
	return pids, errors.Join(errs...)
}

// ignoreRemoved: of a cgroup that is gone, no process is left.
func ignoreRemoved(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (c *cgroups) state(t Tree) (int, error) {
	events, err := os.ReadFile(filepath.Join(c.dir(t), "cgroup.events"))
	switch {
	case ignoreRemoved(err) != nil:
		return -1, err
	case err != nil || strings.Contains(string(events), "populated 0"):
		return 0, nil
	}
	pids, err := cgroupPids(c.dir(t))
	return max(1, len(pids)), err
}

// await waits for cgroup.events to change: the poller hears it as an edge.
func (c *cgroups) await(t Tree, d time.Duration) {
	f, err := os.OpenFile(filepath.Join(c.dir(t), "cgroup.events"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		time.Sleep(d) // it is gone, or will be looked at again
		return
	}
	defer f.Close()
	rc, err := f.SyscallConn()
	if err != nil || f.SetReadDeadline(time.Now().Add(d)) != nil {
		time.Sleep(d)
		return
	}
	rc.Read(func(fd uintptr) bool {
		var buf [128]byte
		n, err := unix.Pread(int(fd), buf[:], 0)
		return err != nil || strings.Contains(string(buf[:max(n, 0)]), "populated 0")
	})
}

func (c *cgroups) remove(t Tree) {
	removeCgroup(c.dir(t))
	unix.Rmdir(filepath.Dir(c.dir(t))) // refused while it has others
}

// whose finds the outermost of our cgroups that a process is in.
func (c *cgroups) whose(pid int) (Tree, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return Tree{}, false
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "0::")
		if !ok {
			continue
		}
		_, path, ok := strings.Cut(strings.TrimSuffix(rest, "\n"), "/"+filepath.Base(c.root)+"/")
		return treeOfPath(path, ok)
	}
	return Tree{}, false
}

// treeOfPath reads NAME/ATTEMPT[/…].
func treeOfPath(path string, ok bool) (Tree, bool) {
	file, rest, _ := strings.Cut(path, "/")
	number, _, _ := strings.Cut(rest, "/")
	name, named := service.FromFileName(file)
	attempt, err := strconv.ParseInt(number, 10, 64)
	return Tree{Service: name, Attempt: attempt}, ok && named && err == nil
}

// members are the processes of a tree, without zombies, the oldest first.
func (c *cgroups) members(t Tree) (living []stat, err error) {
	pids, err := cgroupPids(c.dir(t))
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		st, err := readStat(pid)
		switch {
		case err == nil && !st.zombie():
			living = append(living, st)
		case lacking(err):
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	slices.SortFunc(living, older)
	return living, nil
}

func (c *cgroups) close() {
	c.pruneAll()
	unix.Rmdir(c.root)
}
