package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
)

const defaultUmask = 0o022

// privileges is what a program may do, resolved to numbers.
type privileges struct {
	credential *syscall.Credential // nil: the daemon's own
	umask      int                 // -1: the daemon's own, which is 022
	nice       int
	limits     []service.Limit
	bounding   bool // keep only those in ambient
	ambient    []uintptr
	noNew      bool
}

func privilegesOf(s *service.Spawn) (*privileges, error) {
	p := &privileges{umask: s.Umask, nice: s.Nice, limits: s.Limits, noNew: s.NoNewPrivs, bounding: s.Caps != nil}
	if p.umask == defaultUmask || p.umask < 0 {
		p.umask = -1
	}
	for _, name := range s.Caps {
		n, ok := capabilities[name]
		if !ok {
			return nil, &SpawnFailure{Text: fmt.Sprintf("capabilities: %s: no such capability", name), NoExec: true}
		}
		p.ambient = append(p.ambient, n)
	}
	for _, l := range s.Limits {
		if _, ok := resources[l.Name]; !ok {
			return nil, &SpawnFailure{Text: fmt.Sprintf("limits: %s: no such limit", l.Name), NoExec: true}
		}
	}
	var err error
	p.credential, err = credentialOf(s)
	return p, err
}

// credentialOf looks users and groups up in the files, at each start.
func credentialOf(s *service.Spawn) (*syscall.Credential, error) {
	if s.User == "" && s.Group == "" && len(s.Groups) == 0 {
		return nil, nil
	}
	c := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if s.User != "" {
		u, err := user.Lookup(s.User)
		if err != nil {
			u, err = user.LookupId(s.User)
		}
		if err != nil {
			return nil, &SpawnFailure{Text: fmt.Sprintf("user: %s: no such user: add it (useradd --system %s) or change user", s.User, s.User), NoExec: true}
		}
		c.Uid, c.Gid = id(u.Uid), id(u.Gid)
		if groups, err := u.GroupIds(); err == nil {
			for _, g := range groups {
				c.Groups = append(c.Groups, id(g))
			}
		}
	}
	if s.Group != "" {
		gid, err := groupID("group", s.Group)
		if err != nil {
			return nil, err
		}
		c.Gid = gid
	}
	for _, name := range s.Groups {
		gid, err := groupID("groups", name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(c.Groups, gid) {
			c.Groups = append(c.Groups, gid)
		}
	}
	if own := os.Getuid(); own != 0 && int(c.Uid) == own && int(c.Gid) == os.Getgid() && len(s.Groups) == 0 {
		return nil, nil // an ordinary user's daemon is what it is to be
	}
	return c, nil
}

func groupID(key, name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		g, err = user.LookupGroupId(name)
	}
	if err != nil {
		return 0, &SpawnFailure{Text: fmt.Sprintf("%s: %s: no such group: add it (groupadd --system %s) or change %s", key, name, name, key), NoExec: true}
	}
	return id(g.Gid), nil
}

func id(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return ^uint32(0) // refused by the kernel
	}
	return uint32(n)
}

// forkExec starts the program. What is an attribute of the thread that forks is
// set on a thread of its own, which ends with its goroutine: no other program
// can get it.
func (p *privileges) forkExec(path string, argv []string, attr *syscall.ProcAttr) (pid int, ended *service.Exit, err error) {
	if p.umask < 0 && p.nice == 0 && !p.noNew && !p.bounding && len(p.limits) == 0 {
		pid, err = syscall.ForkExec(path, argv, attr)
		return pid, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock
		if err = p.thread(); err != nil {
			return
		}
		if len(p.limits) == 0 {
			pid, err = syscall.ForkExec(path, argv, attr)
			return
		}
		pid, ended, err = p.forkLimited(path, argv, attr)
	}()
	<-done
	return pid, ended, err
}

// thread gives the calling thread what its child is to inherit.
func (p *privileges) thread() error {
	if p.umask >= 0 {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return denied("umask", "unshare", err)
		}
		unix.Umask(p.umask)
	}
	if p.nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.nice); err != nil { // 0: this thread
			return denied("nice", strconv.Itoa(p.nice), err)
		}
	}
	if p.bounding {
		for c := uintptr(0); ; c++ {
			if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
				break // that was the last
			}
			if slices.Contains(p.ambient, c) {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return denied("capabilities", "bounding set", err)
			}
		}
	}
	if p.noNew {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return denied("no_new_privileges", "prctl", err)
		}
	}
	return nil
}

func denied(key, what string, err error) *SpawnFailure {
	return failure(key, err, "%s: %v: is the daemon allowed to?", what, err)
}

// forkLimited starts a program with resource limits. They belong to a process,
// not to a thread, so they can be set only once it exists; traced, it stops
// before its first instruction. Where tracing is forbidden, or could take a
// set-user-ID program's privileges away, the limits come a moment late. When the
// daemon dies in between, the program may go on without, or stay stopped for ever
// because it asked another parent to trace it: see unlimited.
func (p *privileges) forkLimited(path string, argv []string, attr *syscall.ProcAttr) (pid int, ended *service.Exit, err error) {
	attr.Sys.Ptrace = os.Geteuid() == 0
	pid, err = syscall.ForkExec(path, argv, attr)
	if err == unix.EPERM && attr.Sys.Ptrace {
		attr.Sys.Ptrace = false
		pid, err = syscall.ForkExec(path, argv, attr)
	}
	if err != nil {
		return 0, nil, err
	}
	if attr.Sys.Ptrace {
		var ws unix.WaitStatus
		for {
			_, err = unix.Wait4(pid, &ws, unix.WALL, nil)
			if err != unix.EINTR {
				break
			}
		}
		if err != nil || !ws.Stopped() { // killed already
			exit := exitOf(ws)
			return pid, &exit, nil
		}
	}
	limitErr := p.limit(pid)
	if limitErr != nil {
		unix.PidfdSendSignal(*attr.Sys.PidFD, unix.SIGKILL, nil, 0)
	}
	if attr.Sys.Ptrace {
		unix.PtraceDetach(pid)
	}
	if limitErr != nil {
		unix.Wait4(pid, nil, 0, nil)
		unix.Close(*attr.Sys.PidFD)
		return 0, nil, limitErr
	}
	return pid, nil, nil
}

func (p *privileges) limit(pid int) error {
	var errs []error
	for _, l := range p.limits {
		err := unix.Prlimit(pid, resources[l.Name], &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil)
		if err != nil && err != unix.ESRCH {
			errs = append(errs, fmt.Errorf("%s: %w", l.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return failure("limits", err, "%v: is the daemon allowed to raise it?", errs[0])
	}
	return nil
}

var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// capabilities are numbered in the order of capabilities(7)'s header file.
var capabilities = func() map[string]uintptr {
	numbers := make(map[string]uintptr)
	for n, name := range []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
		"CHECKPOINT_RESTORE",
	} {
		numbers["CAP_"+name] = uintptr(n)
	}
	return numbers
}()
