package linkwatch

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// flood fills the socket: each change of lo's alias is a link message.
func flood(t *testing.T) {
	t.Helper()
	for i := range 30 {
		change(t, "lo", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 65000+i) })
	}
}

// block fills the inbox: the next report waits until the function that block
// returns is called.
func (e *engine) block(t *testing.T) (release func()) {
	t.Helper()
	hold := make(chan struct{})
	e.mu.Lock()
	e.hold = hold
	e.mu.Unlock()
	change(t, "lo", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 64000) })
	livetest.Until(t, "a full inbox", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.waiting > 0
	})
	return func() {
		e.mu.Lock()
		e.hold = nil
		e.mu.Unlock()
		close(hold)
	}
}

func TestLiveOverflow(t *testing.T) {
	for name, story := range map[string]func(t *testing.T){
		"a lost remove": func(t *testing.T) { change(t, "va", netlink.LinkDel) },
		"a lost add":    func(t *testing.T) { add(t, veth("vc", "vd")); up(t, "vc") },
		"a lost carrier": func(t *testing.T) {
			down(t, "vb")
			up(t, "vb")
			down(t, "vb")
		},
		"a lost rename": func(t *testing.T) {
			change(t, "va", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan0") })
		},
		"a lost address": func(t *testing.T) { addr(t, "va", "192.0.2.7/24", netlink.AddrAdd) },
	} {
		t.Run(name, func(t *testing.T) {
			livetest.Namespace(t, func(t *testing.T) {
				add(t, veth("va", "vb"))
				up(t, "va")
				up(t, "vb")
				_, e := start(t, Config{Room: 4096})
				e.has(t, "va", "running", "true")
				before := e.link("va").Life
				release := e.block(t)
				flood(t)
				story(t)
				release()
				reaches(t, e)
				if s := e.now(); s.Lost == 0 || s.Resyncs == 0 {
					t.Errorf("nothing was lost: %+v", s)
				}
				switch name {
				case "a lost carrier":
					// Two flaps that nobody saw are told by the count.
					if got := e.link("va").Life; got.Flaps != before.Flaps+2 {
						t.Errorf("flaps %d, before %d", got.Flaps, before.Flaps)
					}
				case "a lost rename":
					if got := e.link("wan0").Life; got != before {
						t.Errorf("life %+v, before %+v", got, before)
					}
				case "a lost address":
					e.has(t, "va", "address4", "192.0.2.7/24")
				}
			})
		})
	}
}

// troubled is a table during whose lists something happens.
type troubled struct {
	*table
	lists int
	after func(list int)
}

func (t *troubled) List(lost bool) error {
	err := t.table.List(lost)
	t.lists++
	t.after(t.lists)
	return err
}

func TestLiveLossDuringTheList(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		add(t, veth("va", "vb"))
		w := New(Config{Room: 4096})
		trouble := &troubled{table: w.table}
		trouble.after = func(list int) {
			if list > 3 {
				return
			}
			flood(t)
			change(t, "va", netlink.LinkDel)
			add(t, veth("va", "vb"))
		}
		w.follow.Table = trouble
		e := run(t, w)
		reaches(t, e)
		e.mu.Lock()
		defer e.mu.Unlock()
		if trouble.lists < 4 || e.status.Lost < 3 || e.batches != 1 {
			t.Errorf("%d lists, %d batches, %+v", trouble.lists, e.batches, e.status)
		}
	})
}

// What a program sends is not the kernel's.
func TestLiveForgedSender(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, veth("va", "vb"))
		e.has(t, "va", "name", "va")
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		forged := datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, e.index(t, "va"), 0))
		if err := unix.Sendto(fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
			t.Fatal(err)
		}
		livetest.Until(t, "one refused", func() bool { return e.now().Refused == 1 })
		reaches(t, e)
	})
}

// How long the carrier takes from the call that gives it to the engine.
func TestLiveCarrierLatency(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		w := New(Config{})
		told := make(chan time.Time, 100)
		var armed bool
		e := &engine{}
		add(t, veth("va", "vb"))
		up(t, "va")
		vb, err := netlink.LinkByName("vb")
		if err != nil {
			t.Fatal(err)
		}
		index := object.LinkKey(ifindex(t, "va"))
		go w.Run(t.Context(), func(r object.Report) {
			e.sink(r)
			e.mu.Lock()
			defer e.mu.Unlock()
			if o := e.store.Get(index); armed && o != nil && o.Words.Get("running") == "true" {
				armed = false
				told <- time.Now()
			}
		})
		livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
		best := time.Hour
		for range 20 {
			e.mu.Lock()
			armed = true
			e.mu.Unlock()
			began := time.Now()
			if err := netlink.LinkSetUp(vb); err != nil {
				t.Fatal(err)
			}
			best = min(best, (<-told).Sub(began))
			if err := netlink.LinkSetDown(vb); err != nil {
				t.Fatal(err)
			}
			e.has(t, "va", "running", "false")
		}
		t.Logf("best of 20: %v from ip link set up to the report", best)
	})
}
