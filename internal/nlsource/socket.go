package nlsource

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Errors of Socket.Read that are no failure.
var (
	errEmpty  = errors.New("nlsource: nothing to read")
	errLost   = errors.New("nlsource: messages were lost")
	errForged = errors.New("nlsource: not from the kernel")
)

// datagram is the largest message that is read whole. uevents are at most
// 2 KiB and a bit (UEVENT_BUFFER_SIZE, include/linux/kobject.h); a link with
// many virtual functions takes some 10 KiB.
const datagram = 64 << 10

// Socket is a netlink socket that is subscribed to multicast groups.
type Socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	buf  []byte
	oob  []byte

	// What a user namespace shows for the kernel's root, where it has none.
	overflow uint32

	// Results of one recvmsg, here and not in a closure, so that reading does
	// not allocate.
	n, oobn, flags int
	from           unix.Sockaddr
	err            error
	recv           func(fd uintptr) bool
	once           func(fd uintptr)

	woken atomic.Bool
}

// Open subscribes to the groups (a bit mask, as in struct sockaddr_nl) of a
// netlink family, with room for so many bytes in the socket.
func Open(family int, groups uint32, room int) (*Socket, error) {
	conn, err := netlink.Dial(family, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	s := &Socket{conn: conn, buf: make([]byte, datagram), oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred)), overflow: overflowUID()}
	// SO_RCVBUFFORCE needs CAP_NET_ADMIN in the initial user namespace; without
	// it the limit is net.core.rmem_max. A small buffer works too, with more lists.
	_ = conn.SetReadBuffer(room)
	s.raw, err = conn.SyscallConn()
	if err == nil {
		var set error
		err = s.raw.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		})
		err = errors.Join(err, set)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("set up socket: %w", err)
	}
	s.once = func(fd uintptr) {
		for {
			s.n, s.oobn, s.flags, s.from, s.err = unix.Recvmsg(int(fd), s.buf, s.oob, unix.MSG_DONTWAIT)
			if s.err != unix.EINTR {
				return
			}
		}
	}
	s.recv = func(fd uintptr) bool {
		s.once(fd)
		return s.err != unix.EAGAIN
	}
	return s, nil
}

// overflowUID is the uid that stands for root where root of the initial user
// namespace has none here, or 0 where it has one (user_namespaces(7)).
func overflowUID() uint32 {
	if b, err := os.ReadFile("/proc/self/uid_map"); err != nil || string(bytes.Join(bytes.Fields(b), []byte(" "))) == "0 0 4294967295" {
		return 0
	}
	var uid uint32 = 65534
	if b, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil {
		_, _ = fmt.Sscan(string(b), &uid)
	}
	return uid
}

// read returns the next message of the kernel; it is valid until the next
// read. With wait it sleeps until there is one, or the deadline, or Wake.
func (s *Socket) read(wait bool) ([]byte, error) {
	var err error
	if wait {
		err = s.raw.Read(s.recv)
	} else {
		err = s.raw.Control(s.once)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errEmpty
	case err != nil:
		return nil, err
	case s.err == unix.EAGAIN:
		return nil, errEmpty
	case s.err == unix.ENOBUFS:
		return nil, errLost
	case s.err != nil:
		return nil, s.err
	case !s.kernel():
		return nil, errForged
	case s.flags&unix.MSG_TRUNC != 0:
		return nil, errLost // its rest is gone
	}
	return s.buf[:s.n], nil
}

// kernel tells whether the kernel itself sent what was read last. A program's
// messages carry its port number, which is never 0 (netlink_sendmsg binds an
// unbound socket first). The uid of the credentials is a second look: kernel
// events have root's, injected ones (which the kernel sends on with port 0)
// that of whoever had CAP_SYS_ADMIN over the network namespace. Their pid says
// nothing: it is 0 for the kernel's own, and the injector's for the injected.
func (s *Socket) kernel() bool {
	from, ok := s.from.(*unix.SockaddrNetlink)
	if !ok || from.Pid != 0 {
		return false
	}
	msgs, err := unix.ParseSocketControlMessage(s.oob[:s.oobn])
	if err != nil {
		return false
	}
	for i := range msgs {
		if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			// In a user namespace without the machine's root, root's uid cannot
			// be told: there the port alone decides.
			return cred.Uid == 0 || s.overflow != 0 && cred.Uid == s.overflow
		}
	}
	return false
}

// arm sets when a waiting read gives up; the zero time is never. It returns
// false when Wake was called since the last arm: then there is no time to wait.
func (s *Socket) arm(at time.Time) bool {
	_ = s.conn.SetReadDeadline(at)
	return !s.woken.Swap(false)
}

// Wake ends a waiting read, now or the next. It may be called from anywhere.
func (s *Socket) Wake() {
	s.woken.Store(true) // before the deadline: arm looks in the other order
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// Close ends a waiting read with an error.
func (s *Socket) Close() { _ = s.conn.Close() }
