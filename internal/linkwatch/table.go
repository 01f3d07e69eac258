package linkwatch

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
	"hotsvc/internal/sysfs"
)

// table is every link that exists now. One goroutine uses it.
type table struct {
	tree    *sysfs.Tree
	run     string
	udevd   udevd
	desk    *desk // nil: nl80211 is not asked
	initial bool  // this is the machine's first network namespace
	ours    bool  // /sys shows our network namespace
	wanted  func() (attrs []string, routes bool)
	refuse  func()
	relist  func()
	dump    func(get, reply uint16, ask func(*nl.NetlinkRequest)) ([][]byte, error)

	links   map[int]*link
	awaited map[int]time.Time // radios that are held back, until then
	routes  bool              // default routes are asked for
	stale   bool              // they may have changed
	texts   sysfs.Texts
	flags   map[uint32][]string

	dirty []int // ifindexes, in the order in which they changed
	gone  []int
	owed  bool // a full batch was asked for, and is not told yet
	told  bool // one was
}

func newTable(c Config) *table {
	// The first network namespace alone has the machine-wide knobs
	// (net/core/sysctl_net_core.c: net_core_table against netns_core_table).
	_, err := os.Stat(c.Proc + "/sys/net/core/dev_weight")
	return &table{
		tree:    &sysfs.Tree{Root: c.Sys},
		run:     c.Run,
		udevd:   newUdevd(c.Udev, c.Run, err == nil),
		initial: err == nil,
		wanted:  func() ([]string, bool) { return nil, false },
		refuse:  func() {},
		relist:  func() {},
		dump:    dump,
		links:   make(map[int]*link),
		awaited: make(map[int]time.Time),
		flags:   make(map[uint32][]string),
	}
}

// Apply takes a datagram in.
func (t *table) Apply(datagram []byte) bool {
	all, err := messages(datagram)
	ok := err == nil
	for _, m := range all {
		switch m.kind {
		case unix.RTM_NEWLINK:
			ok = t.newLink(m.body, "rtnetlink newlink") && ok
		case unix.RTM_DELLINK:
			ok = t.delLink(m.body) && ok
		case unix.RTM_NEWADDR:
			ok = t.address(m.body, true) && ok
		case unix.RTM_DELADDR:
			ok = t.address(m.body, false) && ok
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			ok = t.route(m.body) && ok
		}
	}
	return ok
}

// newLink takes in a link that is new or changed.
func (t *table) newLink(body []byte, cause string) bool {
	f, err := decodeLink(unix.RTM_NEWLINK, body)
	if err != nil {
		return false
	}
	// A message of family AF_BRIDGE is about a bridge port. A wireless
	// extension's message has none of the attributes, which then are unchanged;
	// even its flags are older than what is known (it waits in a work queue).
	if f.family != unix.AF_UNSPEC || f.partial {
		return true
	}
	l := t.links[f.index]
	first := l == nil
	if first {
		l = &link{}
		t.links[f.index] = l
	}
	was := l.facts
	l.facts = f
	if f.name == was.name { // one copy of what never changes
		l.name, l.kind, l.class, l.mac, l.permaddr = was.name, same(was.kind, f.kind), same(was.class, f.class), same(was.mac, f.mac), same(was.permaddr, f.permaddr)
	}
	if !l.read && (first || f.name != was.name || f.mac != was.mac) {
		t.readDevice(l)
	}
	if first || (f.flags^was.flags)&unix.IFF_UP != 0 {
		l.managed = t.isManaged(f.index)
	}
	if was.flags&unix.IFF_UP != 0 && f.flags&unix.IFF_UP == 0 {
		// IPv4 routes through a link that goes down vanish without a message
		// (fib_sync_down_dev in net/ipv4/fib_semantics.c).
		t.stale = true
	}
	t.touch(f.index, cause)
	if first || f.name != was.name {
		t.touchPorts(f.index, cause) // their word master is this name
	}
	return true
}

func same(old, now string) string {
	if old == now {
		return old
	}
	return now
}

func (t *table) delLink(body []byte) bool {
	f, err := decodeLink(unix.RTM_DELLINK, body)
	if err != nil {
		return false
	}
	if f.family != unix.AF_UNSPEC || t.links[f.index] == nil {
		return true // it left a bridge: it still exists
	}
	if t.links[f.index].whole { // else it was never told
		t.gone = append(t.gone, f.index)
	}
	delete(t.links, f.index)
	t.forget(f.index)
	t.touchPorts(f.index, "rtnetlink dellink")
	return true
}

// forget drops what is kept beside a link that went.
func (t *table) forget(index int) {
	delete(t.udevd.waits, index)
	delete(t.awaited, index)
	if t.desk != nil {
		t.desk.forget(index)
	}
}

func (t *table) touchPorts(master int, cause string) {
	for _, index := range slices.Sorted(maps.Keys(t.links)) {
		if t.links[index].master == master {
			t.touch(index, cause)
		}
	}
}

func (t *table) touch(index int, cause string) {
	l := t.links[index]
	l.cause = cause
	if !l.dirty {
		l.dirty = true
		t.dirty = append(t.dirty, index)
	}
}

// address takes in a new, changed or removed address. It always comes after
// its link; what is left of a link that went is dropped with it.
func (t *table) address(body []byte, there bool) bool {
	index, a, flags, err := decodeAddress(body)
	if err != nil {
		return false
	}
	l := t.links[index]
	if l == nil {
		return true
	}
	cause := "rtnetlink newaddr"
	// A tentative address is not ours yet: duplicate detection still runs, or
	// failed (RFC 4862).
	usable := there && flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0
	if usable && l.insert(a) {
		l.managed = t.isManaged(index)
		t.touch(index, cause)
	}
	if !usable && l.remove(a) {
		if !there {
			cause = "rtnetlink deladdr"
		}
		// Routes that name the address as their source go without a message.
		t.stale = true
		t.touch(index, cause)
	}
	return true
}

// Take returns the links whose words changed, or all with full, without those
// that wait for udevd or nl80211. Of what was told before, a full list has what
// was told.
//
// What a full batch does not name is gone: so there is none before the links of
// the first list are whole, for an earlier daemon may have told them. Until then
// those that are whole are told as what they are, some of all.
func (t *table) Take(full bool) []object.Batch {
	if t.stale && t.routes {
		if err := t.listRoutes(); err != nil {
			t.relist()
		}
	}
	t.stale = false
	if t.owed = t.owed || full; t.owed {
		t.dirty = slices.Sorted(maps.Keys(t.links))
	}
	t.dirty = slices.DeleteFunc(t.dirty, func(index int) bool {
		l := t.links[index]
		if l == nil {
			return true
		}
		l.dirty = false
		radio := t.holdsForRadio(l) // asked at once, udevd or not
		l.held = t.holdsForUdevd(l) || radio
		return l.held && !l.whole
	})
	full = t.owed && (t.told || !t.anyUntold())
	if full {
		t.owed, t.told, t.gone = false, true, nil
	}
	b := object.Batch{Kinds: []object.Kind{object.Link}, Full: full}
	for _, index := range t.dirty {
		l := t.links[index]
		if !t.renew(l) && !full {
			continue
		}
		b.Put = append(b.Put, object.Object{
			Life:  object.Life{Key: object.LinkKey(index), Incarnation: uint64(index), Flaps: l.flaps},
			Words: l.words,
			Cause: l.cause,
		})
	}
	for _, index := range t.gone {
		if t.links[index] == nil {
			b.Gone = append(b.Gone, object.LinkKey(index))
		}
	}
	t.dirty, t.gone = t.dirty[:0], t.gone[:0]
	if !full && len(b.Put) == 0 && len(b.Gone) == 0 {
		return nil
	}
	return []object.Batch{b}
}

// renew makes a link's words anew, and tells whether they changed.
func (t *table) renew(l *link) bool {
	if l.held {
		return false
	}
	l.whole = true
	words := t.compose(l)
	if l.words.Equal(words) && l.flaps == l.downs {
		return false
	}
	l.words, l.flaps = words, l.downs
	return true
}

// anyUntold tells whether a link was not told yet, and still waits: those that
// do not are told with the batch to come.
func (t *table) anyUntold() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(t.links)), func(l *link) bool { return !l.whole && l.held })
}
