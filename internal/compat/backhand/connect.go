package backhand

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
)

// pathRoom is what a path to a socket must be shorter than.
const pathRoom = 92

// connect asks an escort to end its child, and waits until it has: to connect is
// to ask. What comes back, or whether anything does, makes no difference.
func connect(c *compat.Call) int {
	if len(c.Args) != 1 {
		complain(c, "usage: connect SOCKET")
		return wrongCall
	}
	at, err := address(c.Args[0])
	if err != nil {
		complain(c, err.Error())
		return wrongCall
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = again(func() error { return unix.Connect(s, at) })
	}
	if err != nil {
		return complain(c, fmt.Sprintf("cannot connect to %s: %v", c.Args[0], err))
	}
	again(func() error { _, err := unix.Read(s, make([]byte, 1)); return err })
	return 0
}

// address is where a socket of that path is.
func address(path string) (*unix.SockaddrUnix, error) {
	if path == "" || len(path) >= pathRoom {
		return nil, fmt.Errorf("%q: a path to a socket has 1 to %d bytes", path, pathRoom-1)
	}
	if strings.HasPrefix(path, "@") { // which would not be a file
		path = "./" + path
	}
	return &unix.SockaddrUnix{Name: path}, nil
}

// again does once more what a signal has interrupted.
func again(do func() error) error {
	for {
		if err := do(); err != unix.EINTR {
			return err
		}
	}
}
