package livetest

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
	"hotsvc/internal/resync"
)

// Capture listens on a multicast netlink socket while something happens, and
// returns the datagrams, each as the kernel sent it.
func Capture(t *testing.T, family int, groups uint32, happens func()) [][]byte {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, family)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	happens()
	var burst [][]byte
	for buf := make([]byte, 64<<10); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EAGAIN {
			return burst
		}
		if err != nil {
			t.Fatal(err)
		}
		burst = append(burst, bytes.Clone(buf[:n]))
	}
}

// Dock is what happens when a dock with network ports is plugged in, bridged,
// pulled half-way, and plugged in again: links come, get names, come up, join a
// bridge, go, and others come under the same names.
func Dock(t *testing.T) {
	t.Helper()
	try := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	link := func(name string) netlink.Link {
		l, err := netlink.LinkByName(name)
		try(err)
		return l
	}
	plug := func(name string) {
		la := netlink.NewLinkAttrs()
		la.Name = "new"
		try(netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: name + "p"}))
		try(netlink.LinkSetName(link("new"), name))
		try(netlink.LinkSetUp(link(name)))
		try(netlink.LinkSetUp(link(name + "p")))
	}
	la := netlink.NewLinkAttrs()
	la.Name = "br0"
	for _, name := range []string{"a", "b", "c"} {
		plug(name)
	}
	try(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: la}))
	try(netlink.LinkSetMaster(link("a"), link("br0")))
	try(netlink.LinkSetMaster(link("b"), link("br0")))
	try(netlink.LinkSetUp(link("br0")))
	address, err := netlink.ParseAddr("192.0.2.7/24")
	try(err)
	try(netlink.AddrAdd(link("c"), address))
	try(netlink.LinkDel(link("a")))
	try(netlink.LinkSetNoMaster(link("b")))
	plug("a")
	try(netlink.LinkSetDown(link("c")))
	try(netlink.LinkSetName(link("c"), "d"))
	try(netlink.LinkDel(link("b")))
	plug("b")
	try(netlink.LinkDel(link("br0")))
}

// WriteBurst keeps a burst in a file: each datagram behind its length.
func WriteBurst(t *testing.T, file string, burst [][]byte) {
	t.Helper()
	var b []byte
	for _, m := range burst {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ReadBurst reads what WriteBurst wrote.
func ReadBurst(t *testing.T, file string) (burst [][]byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := 2 + int(binary.LittleEndian.Uint16(b))
		burst = append(burst, b[2:n])
		b = b[n:]
	}
	return burst
}

// Table is a source's table: see nlsource.Table, which has more.
type Table interface {
	List(lost bool) error
	Apply(msg []byte) bool
	Take(full bool) []object.Batch
}

// Loss is one way in which a socket overflows during a burst.
type Loss struct {
	At     int  // the first message that is lost: 1, 2, …; 0: none is
	Wake   int  // who reads is busy until this message was sent
	Pause  int  // from then on it reads after each so many messages
	During int  // so many more are sent while a list is made, before and after it looks
	Again  bool // the first of those is lost, too
}

// Replay plays a burst to a table through a socket that overflows: happens makes
// the n-th message come true, just before it is sent. It returns what an engine
// knows at the end.
//
// The socket is the kernel's (net/netlink/af_netlink.c): from the first message
// that does not fit all are lost until it was empty once, and the one error comes
// before the messages that were kept.
func Replay(t *testing.T, table Table, burst [][]byte, loss Loss, happens func(n int)) *object.Store {
	t.Helper()
	var (
		store           object.Store
		machine         resync.Machine
		queue           [][]byte
		sent, during    int
		failed, blocked bool // the error is to be read; what is sent is lost
		again           bool // the next one does not fit either
	)
	send := func(n int) {
		for ; n > 0 && sent < len(burst); n-- {
			sent++
			happens(sent)
			if sent == loss.At || again {
				failed, blocked, again = true, true, false
			}
			if !blocked {
				queue = append(queue, burst[sent-1])
			}
		}
	}
	read := func() (resync.Event, []byte) {
		var m []byte
		e := resync.Empty
		switch {
		case failed:
			failed, e = false, resync.Lost
		case len(queue) > 0:
			m, queue, e = queue[0], queue[1:], resync.Message
		}
		blocked = blocked && len(queue) > 0
		return e, m
	}
	wakeup := func() {
		for {
			e, m := read()
			switch do := machine.Next(e); do {
			case resync.Apply:
				if !table.Apply(m) {
					t.Errorf("refused: %q", m)
				}
			case resync.List:
				if during > 0 {
					again, loss.Again = loss.Again, false
				}
				send(during)
				if err := table.List(true); err != nil {
					t.Fatal(err)
				}
				send(during)
			case resync.Tell, resync.TellAll:
				for _, b := range table.Take(do == resync.TellAll) {
					store.Apply(b)
				}
				return
			}
		}
	}
	wakeup() // the first list, before the burst
	during = loss.During
	for send(loss.Wake); ; send(loss.Pause) {
		wakeup()
		if sent == len(burst) && machine.State() == resync.Live && len(queue) == 0 && !failed {
			return &store
		}
	}
}
