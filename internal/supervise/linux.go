package supervise

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
)

// linux is the real Kernel.
type linux struct {
	runDir    string
	log       *slog.Logger
	trees     forest
	without   string // why there are no cgroups
	null      *os.File
	notify    *notifySocket
	notifyErr error
	outputs   outputs

	dirs sync.Mutex // one makes a service's directory while another removes it as empty
}

// forest is how trees are kept: by cgroups, or by what else can be found out.
type forest interface {
	make(Tree) error
	// enter has a clone with attr be born in the tree. What it returns is to be
	// called after the clone, with the process if there is one.
	enter(t Tree, attr *syscall.ProcAttr) (func(*process), error)
	adopt(Tree, *process)
	signal(Tree, syscall.Signal) error
	state(Tree) (int, error)
	members(Tree) ([]stat, error)
	await(Tree, time.Duration)
	remove(Tree)
	whose(pid int) (Tree, bool)
	close()
}

func newLinux(cfg Config, saidReady func(Tree)) (*linux, error) {
	k := &linux{runDir: cfg.RunDir, log: cfg.Log}
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); err != nil {
		return nil, fmt.Errorf("pidfd_open: %w: a kernel of 5.4 or later is needed", err)
	} else {
		unix.Close(fd)
	}
	if err := os.MkdirAll(k.runDir, 0o755); err != nil {
		return nil, fmt.Errorf("run dir %w", err)
	}
	var err error
	if k.runDir, err = realDir(k.runDir); err != nil {
		return nil, fmt.Errorf("run dir %w", err)
	}
	if err := k.plant(cfg.CgroupRoot); err != nil {
		return nil, err
	}
	for _, dir := range []string{"svc", "run", "ready", "output"} {
		if err := os.MkdirAll(filepath.Join(k.runDir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("run dir %w", err)
		}
	}
	if k.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	os.MkdirAll(cfg.LogDir, 0o755) // where it fails, the first line says so
	k.outputs = outputs{dir: filepath.Join(k.runDir, "output"), run: filepath.Join(k.runDir, "run"), logDir: cfg.LogDir, syslog: "/dev/log", log: k.log}
	if err := k.outputs.resume(k.runDir); err != nil {
		return nil, err
	}
	k.notify, k.notifyErr = listenNotify(k, saidReady)
	syscall.Umask(defaultUmask)
	// What whoever started us left open is no business of the services either.
	unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // 5.11; before that it leaks
	return k, nil
}

func (k *linux) degraded() (lines []string) {
	if _, ok := k.trees.(*sessions); ok {
		why := ""
		if k.without != "" {
			why = " (" + k.without + ")"
		}
		lines = append(lines, "no cgroup v2"+why+": a stop may miss a process that left its service's session and family")
	}
	if k.notifyErr != nil {
		lines = append(lines, fmt.Sprintf("no notify socket: services with ready = \"notify\" will not become up: %v", k.notifyErr))
	}
	return append(lines, k.outputs.degraded()...)
}

func (k *linux) note(t Tree) string { return notePath(k.runDir, t) }

func (k *linux) fifo(t Tree) string {
	return filepath.Join(k.runDir, "ready", service.FileName(t.Service)+"."+strconv.FormatInt(t.Attempt, 10))
}

// MakeTree is mkdir, then the note of what is about to be started.
func (k *linux) MakeTree(t Tree, c service.Command) error {
	k.dirs.Lock()
	defer k.dirs.Unlock()
	if err := k.trees.make(t); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(k.note(t)), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return writeFile(k.note(t), []byte(c.String()+"\n"))
}

// Note writes in place: without cgroups the file is the mark too, and its inode
// must stay.
func (k *linux) Note(t Tree, c service.Command, p Process) error {
	// Over the text that is there, which is shorter, and in one write: of a daemon
	// that dies here the note says one or the other.
	f, err := os.OpenFile(k.note(t), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(writeAt(f, fmt.Appendf(nil, "%v %d %d\n", c, p.Pid(), p.Started())), f.Close())
}

func (k *linux) Find(t Tree, pid int, started uint64) (Process, error) {
	p, err := findProcess(pid, started)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	// Where it is still to say READY on a FIFO, its end is open for writing.
	if f, err := os.OpenFile(k.fifo(t), os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
		p.ready = f
	}
	k.trees.adopt(t, p)
	return p, nil
}

func (k *linux) SignalTree(t Tree, sig syscall.Signal) error { return k.trees.signal(t, sig) }
func (k *linux) TreeState(t Tree) (int, error)               { return k.trees.state(t) }
func (k *linux) AwaitTree(t Tree, d time.Duration)           { k.trees.await(t, d) }

func (k *linux) RemoveTree(t Tree) {
	k.dirs.Lock()
	k.trees.remove(t)
	os.Remove(k.fifo(t))
	os.Remove(k.note(t))
	err := unix.Rmdir(filepath.Dir(k.note(t))) // refused while it has others
	k.dirs.Unlock()
	if err == nil {
		k.outputs.rested(t.Service)
	}
}

func (k *linux) Save(name string, record []byte) error {
	path := filepath.Join(k.runDir, name)
	if record != nil {
		return replace(path, record)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Load finds by the notes what still runs, and what ran: what has no note was
// left behind on purpose.
func (k *linux) Load() (Loaded, error) {
	var l Loaded
	var err error
	if l.Records, l.Damaged, err = records(filepath.Join(k.runDir, "svc")); err != nil {
		return l, err
	}
	if l.Global, err = os.ReadFile(filepath.Join(k.runDir, "global")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return l, err
	}
	all, err := notes(k.runDir)
	if err != nil {
		return l, err
	}
	for _, t := range all {
		live, ok, err := k.live(t)
		switch {
		case err != nil: // what may run must not be started a second time
			return l, fmt.Errorf("what runs of %s cannot be told: %w: try again", t.Service, err)
		case ok:
			l.Live = append(l.Live, live)
		default:
			k.RemoveTree(t)
		}
	}
	services, _ := filepath.Glob(filepath.Join(k.runDir, "run", "*"))
	for _, dir := range services {
		unix.Rmdir(dir) // refused while it has notes: its daemon may have died between the last one and this
	}
	k.outputs.rested("")
	slices.SortFunc(l.Live, func(a, b Live) int {
		if a.Service != b.Service {
			return strings.Compare(a.Service, b.Service)
		}
		return int(a.Attempt - b.Attempt)
	})
	return l, nil
}

// live finds what still runs of an attempt, or that it ran: an end that nobody saw
// is told, for a record may not say that there was a beginning. A damaged note
// costs what was in it: as long as anything lives in the tree, the attempt is there.
func (k *linux) live(t Tree) (l Live, ok bool, err error) {
	n, err := readNote(k.note(t))
	if err != nil {
		return l, false, err
	}
	l = Live{Tree: t, Command: n.command}
	if n.pid != 0 {
		k.trees.adopt(t, &process{pid: n.pid, started: n.started})
	} else {
		k.trees.adopt(t, nil) // the daemon died between clone and note
	}
	living, err := k.trees.members(t)
	if err != nil {
		return l, false, err
	}
	if n.unlimited && len(living) > 0 && k.end(t) {
		return l, false, nil
	}
	if len(living) == 0 {
		l.Left, err = k.trees.state(t)
		return l, l.Left > 0 || n.pid != 0, err
	}
	for _, m := range living {
		// Without a note of it, the oldest process is the main one.
		if m.pid == n.pid && m.started == n.started || n.pid == 0 && m == living[0] {
			l.Pid, l.Started = m.pid, m.started
		}
	}
	l.Left = len(living)
	if l.Pid != 0 {
		l.Left--
	}
	return l, true, nil
}

// end kills a tree and tells whether it is gone.
func (k *linux) end(t Tree) bool {
	for deadline := time.Now().Add(closePatience); time.Now().Before(deadline); k.trees.await(t, 10*time.Millisecond) {
		k.trees.signal(t, syscall.SIGKILL)
		if left, err := k.trees.state(t); err == nil && left == 0 {
			return true
		}
	}
	return false
}

func (k *linux) close(leave bool) {
	if k.notify != nil {
		k.notify.close()
	}
	if !leave {
		k.trees.close()
	}
	k.outputs.close(leave)
	k.null.Close()
}
