package uevent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/nlsource"
	"hotsvc/internal/object"
)

func addVeth(t *testing.T, name, peer string) {
	t.Helper()
	la := netlink.NewLinkAttrs()
	la.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: peer}); err != nil {
		t.Fatalf("add %s: %v", name, err)
	}
}

func delLink(t *testing.T, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatalf("delete %s: %v", name, err)
	}
}

const virtual = "/devices/virtual/net/"

// truth tells what /sys has of links, their queues included, with inodes.
func truth(t *testing.T) map[string]uint64 {
	t.Helper()
	found := make(map[string]uint64)
	err := filepath.Walk("/sys"+virtual, func(p string, info os.FileInfo, err error) error {
		if err != nil || info.Name() != "uevent" {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Dir(p), &st); err != nil {
			return err
		}
		found[filepath.Dir(p)[len("/sys"):]] = st.Ino
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// knows tells whether the engine knows exactly the truth, and if not, why.
func (e *engine) knows(want map[string]uint64) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p, inode := range want {
		o := e.store.Get(object.Key{Kind: object.Device, ID: p})
		if o == nil {
			return p + " is missing"
		}
		if o.Life.Incarnation != inode {
			return fmt.Sprintf("%s is another life: %d, want %d", p, o.Life.Incarnation, inode)
		}
	}
	for _, o := range e.store.All(object.Device) {
		p := o.Life.Key.ID
		if _, there := want[p]; !there && len(p) > len(virtual) && p[:len(virtual)] == virtual {
			return p + " is not there"
		}
	}
	return ""
}

func reaches(t *testing.T, e *engine, want map[string]uint64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(e.knows(want), e.now())
		}
	}()
	livetest.Until(t, "the truth", func() bool {
		return e.now().State == object.Synced && e.knows(want) == ""
	})
}

// flood fills the socket with events that mean nothing.
func flood(t *testing.T) {
	t.Helper()
	for range 60 {
		inject(t, "change@/devices/flood\x00ACTION=change\x00DEVPATH=/devices/flood\x00FILL="+fmt.Sprintf("%01000d", 0)+"\x00")
	}
}

// block fills the inbox: the next report waits until the function that block
// returns is called.
func (e *engine) block(t *testing.T) (release func()) {
	t.Helper()
	e.mu.Lock()
	hold := make(chan struct{})
	e.hold = hold
	e.mu.Unlock()
	inject(t, "add@/devices/blocker\x00ACTION=add\x00DEVPATH=/devices/blocker\x00")
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
	stories := map[string]func(t *testing.T){
		"a lost remove":            func(t *testing.T) { delLink(t, "va") },
		"a lost add":               func(t *testing.T) { addVeth(t, "vc", "vd") },
		"a lost replug, same name": func(t *testing.T) { delLink(t, "va"); addVeth(t, "va", "vb") },
		"a lost rename": func(t *testing.T) {
			l, err := netlink.LinkByName("va")
			if err == nil {
				err = netlink.LinkSetName(l, "renamed0")
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			livetest.Namespace(t, func(t *testing.T) {
				addVeth(t, "va", "vb")
				_, e := start(t, Config{Room: 4096})
				reaches(t, e, truth(t))
				release := e.block(t)
				flood(t)
				story(t)
				release()
				reaches(t, e, truth(t))
				if s := e.now(); s.Lost == 0 || s.Resyncs == 0 {
					t.Errorf("nothing was lost: %+v", s)
				}
				if name == "a lost rename" {
					renamed := false
					for _, r := range e.reports {
						renamed = renamed || r.Batch != nil && len(r.Batch.Moves) == 1 && r.Batch.Moves[0].To == virtual+"renamed0"
					}
					if !renamed {
						t.Error("the rename is told as another device")
					}
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
		addVeth(t, "va", "vb")
		w := New(Config{Room: 4096})
		trouble := &troubled{table: w.table}
		trouble.after = func(list int) {
			if list > 3 { // the first list and the first resyncs are in vain
				return
			}
			flood(t)
			delLink(t, "va")
			addVeth(t, "va", "vb")
		}
		w.follow.Table = trouble
		e := run(t, w)
		reaches(t, e, truth(t))
		if trouble.lists < 4 || e.now().Lost < 3 {
			t.Errorf("%d lists, %+v", trouble.lists, e.now())
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		full := 0
		for _, r := range e.reports {
			if r.Batch != nil && r.Batch.Full {
				full++
			}
		}
		if full != 1 {
			t.Errorf("%d full batches: a list with a hole was told", full)
		}
	})
}

var _ nlsource.Table = (*troubled)(nil)

// Links are made in numbers and "add" is written to every uevent file, as a
// coldplug does it, while the socket is tiny: nothing is lost, and no device
// begins another life.
func TestLiveChurnAndColdplug(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{Room: 4096})
		for i := range 60 {
			addVeth(t, fmt.Sprintf("va%d", i), fmt.Sprintf("vb%d", i))
			la := netlink.NewLinkAttrs()
			la.Name = fmt.Sprintf("br%d", i)
			if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: la}); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				delLink(t, fmt.Sprintf("va%d", i))
			}
		}
		want := truth(t)
		reaches(t, e, want)
		for range 5 {
			for p := range want {
				err := os.WriteFile("/sys"+p+"/uevent", []byte("add"), 0)
				if errors.Is(err, os.ErrPermission) {
					t.Skipf("the links came and went, but only root may coldplug them: %v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		inject(t, "add@/devices/last\x00ACTION=add\x00DEVPATH=/devices/last\x00")
		livetest.Until(t, "all read", func() bool { return e.get("/devices/last") != nil || e.now().Lost > 0 })
		reaches(t, e, want)
		t.Logf("%d devices, %+v", len(want), e.now())
	})
}
