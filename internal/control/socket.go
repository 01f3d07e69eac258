package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
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
