package linkwatch

import (
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// elsewhere makes a second network namespace and runs do in it, on a thread
// that ends with it.
func elsewhere(t *testing.T, do func(ns *os.File)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		do(ns)
	}()
	<-done
}

// A container's veth is its cable; it is told as one from the first message.
func TestLiveContainersCable(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})                     // as in a container
		_, host := start(t, Config{Proc: t.TempDir()}) // no dev_weight
		first := t.TempDir()                           // as in the initial namespace
		if err := os.MkdirAll(first+"/sys/net/core", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(first+"/sys/net/core/dev_weight", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		_, initial := start(t, Config{Proc: first})

		release := make(chan struct{})
		ready := make(chan *os.File)
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			elsewhere(t, func(ns *os.File) { ready <- ns; <-release })
		}()
		ns := <-ready
		defer func() { close(release); <-finished }()

		v := veth("eth0", "far0")
		v.PeerNamespace = netlink.NsFd(int(ns.Fd()))
		add(t, v)
		for _, e := range []*engine{e, host} {
			e.has(t, "eth0", "physical", "true")
			if h := e.history(e.index(t, "eth0"), "physical"); !slices.Equal(h, []string{"physical=true"}) {
				t.Errorf("history %q", h)
			}
		}
		initial.has(t, "eth0", "physical", "false")

		// One whose peer is moved later gets the attribute with a later message.
		add(t, veth("eth1", "far1"))
		e.has(t, "eth1", "physical", "false")
		change(t, "far1", func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(ns.Fd())) })
		up(t, "eth1")
		e.has(t, "eth1", "physical", "true")
		livetest.Until(t, "no far1", func() bool { return e.link("far1") == nil })
		reaches(t, e)
	})
}

// /sys of another network namespace has a link of the same name and ifindex.
func TestLiveSysfsOfAnotherNamespace(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		add(t, veth("va", "vb"))
		if table := listed(t); !table.links[ifindex(t, "va")].read {
			t.Error("our own /sys is not believed")
		}
		elsewhere(t, func(*os.File) {
			add(t, veth("va", "vb")) // the same ifindexes, from 2 up
			table := listed(t)
			if l := table.links[ifindex(t, "va")]; l == nil || l.read {
				t.Errorf("another's /sys is believed: %+v", l)
			}
		})
	})
}

func listed(t *testing.T) *table {
	t.Helper()
	table := New(Config{}).table
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	return table
}

func ifindex(t *testing.T, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}
