package uevent

import (
	"os"
	"slices"
	"strings"
	"time"

	"hotsvc/internal/object"
)

// settled is when a list is looked at once more. A device's remove event comes
// just before its directory goes (device_del in drivers/base/core.c), so a list
// right after the event was thrown away can still see it.
const settled = time.Second

// Due is when the last list is looked at once more.
func (t *table) Due() time.Time { return t.due }

// Tick drops devices that /sys no longer has.
func (t *table) Tick() {
	t.due = time.Time{}
	for p, d := range t.devices {
		if d.inode == 0 {
			continue
		}
		if _, err := t.tree.Inode(p); gone(err) {
			t.drop(p)
		}
	}
}

// List makes the table anew from /sys.
//
// It walks /sys/devices. go-udev's crawler would do the same for one fixed
// root, but it gives up on the first path that vanishes (18 of 138 crawls under
// churn), and takes 2.7 times as long; the walk over /sys/class and /sys/bus is
// faster still but has no devices without a subsystem, of which uevents tell.
func (t *table) List(lost bool) error {
	before := t.devices
	t.tree.Attrs = t.wanted()
	if _, err := os.ReadDir(t.tree.Root + "/devices"); err != nil {
		// Only events tell then. What they told stays: not to see is not to
		// know that it is gone.
		t.note("uevent: no usable sysfs: only events tell of devices: " + err.Error())
		return nil
	}
	t.note("")
	t.devices = make(map[string]*device, len(before))
	t.ours = t.tree.OfThisNetwork()
	t.tree.Remember()
	t.dirents = make([]byte, 8<<10)
	t.walk("/devices", before)
	t.dirents = nil
	t.tree.Forget()
	for p, d := range before {
		// Nothing was lost, so what events told of without sysfs is still true.
		if d.inode == 0 && !lost && t.devices[p] == nil {
			t.devices[p] = d
		}
	}
	t.from = t.moved(before)
	return nil
}

func (t *table) walk(devpath string, before map[string]*device) {
	isDevice, below := t.entries(t.tree.Root + devpath)
	if isDevice {
		if found, err := t.tree.Read(devpath); err == nil {
			if found.Words.Get("SUBSYSTEM") == "net" && !t.ours {
				return // of another network namespace
			}
			t.listed(devpath, found.Inode, found.Words, before[devpath])
		}
	}
	for _, name := range below {
		t.walk(devpath+"/"+name, before)
	}
}

// listed takes in a device that the walk found. What is as it was keeps its
// words, which the engine shares.
func (t *table) listed(devpath string, inode uint64, words object.Words, was *device) {
	life := t.incarnation(was, inode, words)
	d := &device{life, inode, words, "list", ""}
	if was != nil {
		d.told = was.told
		if was.incarnation == life {
			d.cause = was.cause
		}
		if was.words.Equal(words) {
			d.words = was.words
		}
	}
	t.devices[d.words.Get("DEVPATH")] = d
}

// moved finds the moves that were lost, or not told yet: the engine knows a
// directory's inode under another devpath, where there is nothing now.
func (t *table) moved(before map[string]*device) []object.Move {
	told := make(map[uint64]string)  // inode to devpath
	taken := make(map[string]bool)   // devpaths that the engine knows
	for p, gone := range t.touched { // told once, and dropped since
		taken[p] = gone == ""
	}
	for _, d := range before {
		if d.told != "" {
			taken[d.told] = true
			if d.inode != 0 {
				told[d.inode] = d.told
			}
		}
	}
	var moves []object.Move
	for p, d := range t.devices {
		if from := told[d.inode]; d.inode != 0 && from != "" && from != p && t.devices[from] == nil && !taken[p] {
			moves = append(moves, object.Move{From: from, To: p})
		}
	}
	slices.SortFunc(moves, func(a, b object.Move) int { return strings.Compare(a.To, b.To) })
	var tops []object.Move // a move takes along what is beneath
	for _, m := range moves {
		along := slices.ContainsFunc(tops, func(top object.Move) bool {
			rest, ok := strings.CutPrefix(m.To, top.To+"/")
			return ok && m.From == top.From+"/"+rest
		})
		if !along {
			tops = append(tops, m)
		}
	}
	return tops
}
