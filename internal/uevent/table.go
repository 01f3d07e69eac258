package uevent

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/object"
	"hotsvc/internal/sysfs"
)

// made marks the incarnations that are numbers of our own: of devices that
// /sys does not have. Inodes and disk sequence numbers never get there.
const made = 1 << 63

// table is every device that exists now. One goroutine uses it.
type table struct {
	tree    *sysfs.Tree
	devices map[string]*device // by devpath
	ours    bool               // /sys shows our network namespace
	wanted  func() []string    // attributes
	note    func(string)
	number  uint64 // of the last life without sysfs
	due     time.Time
	dirents []byte // while a list is made

	tolerated uint64 // messages that go-udev would have dropped

	// What changed since the last Take.
	ready   []object.Batch
	moves   []object.Move
	touched map[string]string // devpath to the cause, or "" where it is gone
	order   []string          // of touched
	from    []object.Move     // moves that a full batch has to tell
}

type device struct {
	incarnation uint64
	inode       uint64 // 0: /sys does not have it, its events are all we know
	words       object.Words
	cause       string
	told        string // the devpath under which it was told, "" if it was not
}

func newTable(root string) *table {
	return &table{
		tree:    &sysfs.Tree{Root: root},
		devices: make(map[string]*device),
		touched: make(map[string]string),
		wanted:  func() []string { return nil },
		note:    func(string) {},
	}
}

// put takes in what a device is now, and remembers to tell it if it is new.
func (t *table) put(devpath string, inode uint64, words object.Words, cause string) {
	d := t.devices[devpath]
	life := t.incarnation(d, inode, words)
	if d != nil && d.incarnation == life && d.words.Equal(words) {
		d.inode = inode
		return
	}
	told := ""
	if d != nil {
		told = d.told
	}
	devpath = words.Get("DEVPATH") // the same text, in the copy that is kept anyway
	t.devices[devpath] = &device{life, inode, words, cause, told}
	t.touch(devpath, cause)
}

// incarnation says which life of its devpath a device is: DISKSEQ counts media
// and disks since boot (Documentation/ABI/testing/sysfs-block), the inode of
// the sysfs directory is a new one whenever the device is made anew.
func (t *table) incarnation(d *device, inode uint64, words object.Words) uint64 {
	if seq, err := strconv.ParseUint(words.Get("DISKSEQ"), 10, 63); err == nil && seq > 0 {
		return seq
	}
	if inode != 0 {
		return inode
	}
	if d != nil && d.incarnation&made != 0 {
		return d.incarnation
	}
	t.number++
	return made | t.number
}

func (t *table) drop(devpath string) {
	if t.devices[devpath] == nil {
		return
	}
	delete(t.devices, devpath)
	t.touch(devpath, "")
	// A child cannot outlive its parent. The kernel tells of each of them, but
	// who injects a remove for a made-up parent may not.
	for _, child := range t.below(devpath) {
		if _, err := t.tree.Inode(child); err != nil {
			delete(t.devices, child)
			t.touch(child, "")
		}
	}
}

func (t *table) touch(devpath, cause string) {
	if _, known := t.touched[devpath]; !known {
		t.order = append(t.order, devpath)
	}
	t.touched[devpath] = cause
}

// below lists the known devices beneath a devpath, in order.
func (t *table) below(devpath string) []string {
	var found []string
	for p := range t.devices {
		if len(p) > len(devpath) && p[len(devpath)] == '/' && strings.HasPrefix(p, devpath) {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return found
}

// ancestor is the nearest device above that is known.
func (t *table) ancestor(devpath string) *device {
	for p := devpath; ; {
		i := strings.LastIndexByte(p, '/')
		if i <= 0 {
			return nil
		}
		p = p[:i]
		if d := t.devices[p]; d != nil {
			return d
		}
	}
}

func (d *device) object(devpath string) object.Object {
	return object.Object{
		Life:  object.Life{Key: object.Key{Kind: object.Device, ID: devpath}, Incarnation: d.incarnation},
		Words: d.words,
		Cause: d.cause,
	}
}

// Take returns what changed. A batch has its moves before the rest, so a move
// that comes after other changes begins a batch of its own.
func (t *table) Take(full bool) []object.Batch {
	if full {
		return t.takeAll()
	}
	t.flush()
	out := t.ready
	t.ready = nil
	return out
}

func (t *table) flush() {
	if len(t.order) == 0 && len(t.moves) == 0 {
		return
	}
	b := object.Batch{Kinds: []object.Kind{object.Device}, Moves: t.moves}
	if len(t.moves) > 0 {
		for p, d := range t.devices {
			if d.told != "" {
				d.told = p
			}
		}
	}
	for _, p := range t.order {
		d := t.devices[p]
		switch {
		case d != nil:
			b.Put = append(b.Put, d.object(p))
			d.told = p
		case t.touched[p] == "":
			b.Gone = append(b.Gone, object.Key{Kind: object.Device, ID: p})
		}
	}
	t.clear()
	t.ready = append(t.ready, b)
}

func (t *table) clear() {
	t.moves, t.order = nil, nil
	clear(t.touched)
}

func (t *table) takeAll() []object.Batch {
	b := object.Batch{
		Kinds: []object.Kind{object.Device}, Full: true, Moves: t.from,
		Put: make([]object.Object, 0, len(t.devices)),
	}
	for _, p := range slices.Sorted(maps.Keys(t.devices)) {
		d := t.devices[p]
		d.told = p
		b.Put = append(b.Put, d.object(p))
	}
	t.clear()
	t.ready, t.from = nil, nil
	t.due = time.Now().Add(settled)
	return []object.Batch{b}
}
