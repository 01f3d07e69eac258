package linkwatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// engine keeps what a source told, as the daemon's core does, and the history
// of each link.
type engine struct {
	mu      sync.Mutex
	store   object.Store
	status  object.SourceStatus
	changes []object.Change
	batches int
	hold    chan struct{} // until it is closed the inbox is full
}

func (e *engine) sink(r object.Report) {
	e.mu.Lock()
	hold := e.hold
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = r.Status
	if r.Batch != nil {
		e.batches++
		e.changes = append(e.changes, e.store.Apply(*r.Batch)...)
	}
}

// link returns the link of that name, or nil.
func (e *engine) link(name string) *object.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.store.All(object.Link) {
		if o.Words.Get("name") == name {
			return o
		}
	}
	return nil
}

func (e *engine) now() object.SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// history is what was told of a link, as the values of some words.
func (e *engine) history(index int, words ...string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, c := range e.changes {
		if c.Key != object.LinkKey(index) {
			continue
		}
		line := "gone"
		if c.After != nil {
			line = ""
			for _, w := range words {
				line += fmt.Sprintf(" %s=%s", w, strings.Join(c.After.Words[w], ","))
			}
			line = strings.TrimSpace(line)
		}
		if len(out) == 0 || out[len(out)-1] != line {
			out = append(out, line)
		}
	}
	return out
}

func start(t *testing.T, c Config) (*Watcher, *engine) {
	t.Helper()
	w, e := New(c), &engine{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, e.sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
	return w, e
}

func add(t *testing.T, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatalf("add %s: %v", l.Attrs().Name, err)
	}
}

func veth(a, b string) *netlink.Veth {
	la := netlink.NewLinkAttrs()
	la.Name = a
	return &netlink.Veth{LinkAttrs: la, PeerName: b}
}

func up(t *testing.T, name string)   { t.Helper(); change(t, name, netlink.LinkSetUp) }
func down(t *testing.T, name string) { t.Helper(); change(t, name, netlink.LinkSetDown) }

func change(t *testing.T, name string, how func(netlink.Link) error) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = how(l)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// has waits until the link of that name has that word.
func (e *engine) has(t *testing.T, name, word, value string) {
	t.Helper()
	livetest.Until(t, fmt.Sprintf("%s: %s=%s", name, word, value), func() bool {
		l := e.link(name)
		return l != nil && strings.Join(l.Words[word], " ") == value
	})
}

func TestLiveCarrierFlap(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, veth("va", "vb"))
		up(t, "va")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		l := e.link("va")
		t.Logf("%+v", l)
		downs := l.Life.Flaps
		down(t, "vb")
		e.has(t, "va", "carrier", "false")
		e.has(t, "va", "operstate", "lowerlayerdown")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		if got := e.link("va").Life; got.Flaps != downs+1 || got.Incarnation != l.Life.Incarnation {
			t.Errorf("after one flap: %+v, before: %+v", got, l.Life)
		}
	})
}
