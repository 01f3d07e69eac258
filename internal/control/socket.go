package control

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
)

// maxPath is the longest name that a unix socket can have.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// Listen makes the control socket. Its mode is 0660 and its group gid; with gid
// -1 it is 0600 and the daemon's alone. A socket that nobody listens on is
// replaced; one that somebody listens on is an error. Whoever closes the
// listener removes the file, or leaves it for the next daemon to replace.
func Listen(path string, gid int) (*net.UnixListener, error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	// Under another name until mode and owner are right, so that nobody ever
	// sees it otherwise.
	temp := path + ".new"
	if len(temp) > maxPath {
		return nil, fmt.Errorf("socket %s: the name is too long: at most %d bytes", path, maxPath-len(".new"))
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would remove the temporary name
	if err := settle(temp, path, gid); err != nil {
		l.Close()
		os.Remove(temp)
		return nil, err
	}
	return l, nil
}

// Inherit is the control socket that an earlier image of this process listened
// on; who has connected meanwhile has not been turned away.
func Inherit(f *os.File) (*net.UnixListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	f.Close() // FileListener has one of its own
	socket, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("descriptor %s is no unix socket", f.Name())
	}
	socket.SetUnlinkOnClose(false)
	return socket, nil
}

// settle gives the socket its owner, its mode and its name.
func settle(temp, path string, gid int) error {
	mode := fs.FileMode(0o600)
	if err := os.Chmod(temp, mode); err != nil {
		return err
	}
	if gid >= 0 {
		if err := os.Chown(temp, -1, gid); err != nil {
			return err
		}
		if err := os.Chmod(temp, 0o660); err != nil {
			return err
		}
	}
	return os.Rename(temp, path)
}

// vacant tells whether the name is free, or held by a socket that nobody
// listens on any more.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: remove it, or name another with --socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("somebody listens on %s already: is another hotsvc running?", path)
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return fmt.Errorf("%s: cannot tell whether somebody listens: %w", path, err)
}

// caller is who is at the other end, and what he may do.
type caller struct {
	engine.Peer
	access Access
}

// who names a caller in messages.
func (c caller) who() string {
	if c.UID == os.Geteuid() {
		return "the daemon's own user"
	}
	return "uid " + strconv.Itoa(c.UID)
}

// callerOf asks the kernel who connected. The start time is what tells a
// process from a later one with the same pid.
func callerOf(nc *net.UnixConn, group int) (caller, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return caller{}, err
	}
	var c caller
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = fmt.Errorf("SO_PEERCRED: %w", err)
			return
		}
		c.UID = int(cred.Uid)
		switch {
		case c.UID == 0 || c.UID == os.Geteuid():
			c.access = Write
		case group >= 0 && (int(cred.Gid) == group || slices.Contains(peerGroups(int(fd)), uint32(group))):
			c.access = Read
		}
		c.Client.Pid = int(cred.Pid)
		if started, ok := startedSafely(int(fd), int(cred.Pid)); ok {
			c.Client.Started = started
		}
	})
	if err != nil {
		return caller{}, err
	}
	return c, failed
}

// startedSafely returns the start time of the process that connected. With
// SO_PEERPIDFD (Linux 6.5) it is certain: a pid is not reused while the process
// that the pidfd stands for is there.
func startedSafely(fd, pid int) (uint64, bool) {
	if pid <= 0 {
		return 0, false // of a foreign pid namespace: no name for it here
	}
	started, err := Started(pid)
	if err != nil {
		return 0, false
	}
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return started, err == unix.ENOPROTOOPT // any other error: the process is gone
	}
	defer unix.Close(pidfd)
	if unix.PidfdSendSignal(pidfd, 0, nil, 0) == unix.ESRCH {
		return 0, false // gone: what was read may be another's
	}
	return started, true
}

// Started is when a process began, in clock ticks since boot: field 22 of
// proc(5) stat.
func Started(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name in field 2 may hold blanks and parentheses; the last ")" ends it.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields)+2)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// peerGroups returns the supplementary groups that the peer had when it
// connected. x/sys has no call for this option.
func peerGroups(fd int) []uint32 {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4]
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		default:
			return nil
		}
	}
}
