package supervise

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// notifySocket hears sd_notify(3) messages of all services: one socket, with
// one name, so that what an earlier daemon started finds it too. The kernel
// says who sent, and only a process of a service's tree is heard.
type notifySocket struct {
	conn    *net.UnixConn
	address string // for $NOTIFY_SOCKET
}

func listenNotify(k *linux, told func(Tree)) (*notifySocket, error) {
	n := &notifySocket{address: filepath.Join(k.runDir, "notify")}
	if len(n.address) > 100 { // unix(7) has room for 107
		n.address = "@" + rootName(k.runDir) + "/notify"
	} else if err := os.Remove(n.address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	n.conn = conn
	rc, err := conn.SyscallConn()
	if err == nil {
		rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	}
	if err == nil && !strings.HasPrefix(n.address, "@") {
		err = os.Chmod(n.address, 0o666) // services have users of their own
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go n.listen(k, told)
	return n, nil
}

func (n *notifySocket) listen(k *linux, told func(Tree)) {
	text, control := make([]byte, 4096), make([]byte, 512)
	for {
		size, csize, _, _, err := n.conn.ReadMsgUnix(text, control)
		if err != nil {
			return // closed
		}
		pid, fds := sender(control[:csize])
		if t, ok := k.trees.whose(pid); !ok {
			k.log.Debug("notify: not from a service", "pid", pid)
		} else if slices.Contains(strings.Split(string(text[:size]), "\n"), "READY=1") {
			unix.Mkfifo(k.fifo(t), saidReady) // for the next daemon, which has no FIFO of it to look at
			told(t)
		}
		for _, fd := range fds { // systemd-notify waits until its own is closed
			unix.Close(fd)
		}
	}
}

// sender reads the sender's pid and the descriptors that came along.
func sender(control []byte) (pid int, fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, nil
	}
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			pid = int(cred.Pid)
		}
	}
	return pid, fds
}

func (n *notifySocket) close() { n.conn.Close() }
