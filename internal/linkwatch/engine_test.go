package linkwatch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// engine keeps what a source told, as the daemon's core does, and the history
// of each link.
type engine struct {
	mu      sync.Mutex
	store   object.Store
	status  object.SourceStatus
	wifi    []object.SourceStatus
	changes []object.Change
	batches int
	hold    chan struct{} // until it is closed the inbox is full
	waiting int           // reports that found it full
}

func (e *engine) sink(r object.Report) {
	e.mu.Lock()
	hold := e.hold
	if hold != nil {
		e.waiting++
	}
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Status.Name != "link" {
		e.wifi = append(e.wifi, r.Status)
		return
	}
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
	w := New(c)
	return w, run(t, w)
}

func run(t *testing.T, w *Watcher) *engine {
	t.Helper()
	e := &engine{}
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
	return e
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

func bridge(name string) *netlink.Bridge {
	la := netlink.NewLinkAttrs()
	la.Name = name
	return &netlink.Bridge{LinkAttrs: la}
}

func addr(t *testing.T, name, cidr string, how func(netlink.Link, *netlink.Addr) error) {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	change(t, name, func(l netlink.Link) error { return how(l, a) })
}

// knowsAll tells whether the engine knows exactly the links that a dump shows,
// with their states, and if not, why.
func (e *engine) knowsAll() string {
	links, err := netlink.LinkList()
	if err != nil {
		return err.Error()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.store.All(object.Link)); n != len(links) {
		return fmt.Sprintf("%d links known of %d", n, len(links))
	}
	for _, l := range links {
		a := l.Attrs()
		o := e.store.Get(object.LinkKey(a.Index))
		if o == nil {
			return a.Name + " is missing"
		}
		up, lower := a.RawFlags&unix.IFF_UP != 0, a.RawFlags&unix.IFF_LOWER_UP != 0
		for word, want := range map[string]string{
			"name": a.Name, "up": strconv.FormatBool(up), "carrier": strconv.FormatBool(up && lower), "mtu": strconv.Itoa(a.MTU),
		} {
			if got := o.Words.Get(word); got != want {
				return fmt.Sprintf("%s: %s = %q, want %q", a.Name, word, got, want)
			}
		}
		master := ""
		for _, m := range links {
			if m.Attrs().Index == a.MasterIndex {
				master = m.Attrs().Name
			}
		}
		if got := o.Words.Get("master"); got != master {
			return fmt.Sprintf("%s: master = %q, want %q", a.Name, got, master)
		}
	}
	return ""
}

func reaches(t *testing.T, e *engine) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(e.knowsAll(), e.now())
		}
	}()
	livetest.Until(t, "the truth", func() bool { return e.now().State == object.Synced && e.knowsAll() == "" })
}
