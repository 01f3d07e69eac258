package nlsource

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Who is believed: the port decides, and the uid where it says anything.
func TestOnlyTheKernelIsBelieved(t *testing.T) {
	const nobody = 65534
	for _, c := range []struct {
		name     string
		port     uint32
		cred     *unix.Ucred
		overflow uint32 // not 0: in a user namespace
		want     bool
	}{
		{"a kernel event", 0, &unix.Ucred{}, 0, true},
		{"injected by root", 0, &unix.Ucred{Pid: 4711}, 0, true},
		{"injected by another with the capability", 0, &unix.Ucred{Pid: 4711, Uid: 1000}, 0, false},
		{"sent by root", 4711, &unix.Ucred{Pid: 4711}, 0, false},
		{"sent by a user", 4711, &unix.Ucred{Pid: 4711, Uid: 1000}, 0, false},
		{"without credentials", 0, nil, 0, false},
		{"a kernel event, seen where root has no uid", 0, &unix.Ucred{Uid: nobody, Gid: nobody}, nobody, true},
		{"nobody's, seen where root has one", 0, &unix.Ucred{Uid: nobody}, 0, false},
		{"sent by root, seen in a user namespace", 4711, &unix.Ucred{Uid: nobody}, nobody, false},
	} {
		s := &Socket{from: &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: c.port, Groups: 1}, overflow: c.overflow}
		if c.cred != nil {
			s.oob = unix.UnixCredentials(c.cred)
			s.oobn = len(s.oob)
		}
		if got := s.kernel(); got != c.want {
			t.Errorf("%s: believed %v, want %v", c.name, got, c.want)
		}
	}
}
