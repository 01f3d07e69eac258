package linkwatch

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// udevd renames a link just after it appears (80-net-setup-link.rules), and it
// cannot where the link is up already. So a link is not whole before udevd is
// done with it: under its first name nothing may start, nor set it up.
//
// udevd writes /run/udev/data/n<ifindex> when it is done, and after the rename:
// libudev's udev_device_get_is_initialized() looks for the same file. It does so
// for every link, lo and virtual ones included, even if there is nothing to say
// of them. Its messages (netlink group 2) would tell it, too, but not of links
// that it was done with before, and anybody may be their sender.

// patience is how long a link waits for udevd. It may have died, or be busy for
// minutes with other devices; then a name that may yet change is better than
// no network.
const patience = 3 * time.Second

// firstLook is the time to the second look at udevd's files. Then each pause is
// a quarter of what the link has waited so far: some 25 looks in all, and udevd
// takes at most a quarter longer than it does.
const firstLook = 5 * time.Millisecond

// wait is one link's wait for udevd.
type wait struct {
	since time.Time
	look  time.Time // when to look again
}

// udevd is what is known of it.
type udevd struct {
	dir   string // /run/udev
	there func() bool
	waits map[int]*wait // by ifindex: the links that are held back
	late  int           // links that were told without it
	last  string        // the last one's name

	log  func(string)
	note func(string)
}

// newUdevd: mode is auto, yes or no (hotsvc.toml). In any network namespace but
// the machine's first, udevd sees nothing of our links.
func newUdevd(mode, run string, initial bool) udevd {
	u := udevd{dir: run + "/udev", waits: make(map[int]*wait), log: func(string) {}, note: func(string) {}}
	switch {
	case mode == "no" || !initial:
		u.there = func() bool { return false }
	case mode == "yes":
		u.there = func() bool { return true }
	default: // it may start after us, and links come at any time: ask each time
		u.there = func() bool { return exists(u.dir + "/control") }
	}
	return u
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// holdsForUdevd tells whether a link that was not told yet has to wait for
// udevd any longer.
func (t *table) holdsForUdevd(l *link) bool {
	if l.named {
		return false
	}
	u := &t.udevd
	if !u.there() || exists(u.dir+"/data/n"+strconv.Itoa(l.index)) && t.upToDate(l) {
		t.release(l)
		return false
	}
	now := time.Now()
	w := u.waits[l.index]
	if w == nil {
		w = &wait{since: now}
		u.waits[l.index] = w
	}
	age := now.Sub(w.since)
	if age >= patience {
		t.release(l)
		u.tooLate(l.name)
		return false
	}
	w.look = now.Add(min(max(firstLook, age/4), patience-age))
	return true
}

func (t *table) release(l *link) {
	l.named = true
	delete(t.udevd.waits, l.index)
}

// upToDate tells whether the link still has the name that we know. udevd's file
// may be there while the message of the rename is still in our socket.
func (t *table) upToDate(l *link) bool { return !t.ours || t.tree.Shows(l.name, l.index, nil) }

// tooLate says it to the log once, for where udevd is dead it is so for every
// link; the status has the count.
func (u *udevd) tooLate(name string) {
	u.late++
	u.last = name
	if u.late == 1 {
		u.log(fmt.Sprintf("link %s: udevd was not done with it in %v, and it is not waited for any longer (hotsvc.toml: udev = \"no\" never waits)", name, patience))
	}
	u.note(fmt.Sprintf("udevd was not done in %v with %d of the links, the last was %s", patience, u.late, u.last))
}

// Due is when udevd's files are to be looked at again, when a radio was waited
// for long enough, or at once when nl80211 has answered.
func (t *table) Due() time.Time {
	if t.desk != nil && t.desk.hasNews() {
		return time.Unix(1, 0)
	}
	var due time.Time
	soonest := func(at time.Time) {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	for _, w := range t.udevd.waits {
		soonest(w.look)
	}
	for _, until := range t.awaited {
		soonest(until)
	}
	return due
}

// Tick has Take look at the links whose time it is: by then the socket is empty,
// and their names are the present ones.
func (t *table) Tick() {
	t.hear()
	now := time.Now()
	for index, w := range t.udevd.waits {
		if l := t.links[index]; l != nil && !now.Before(w.look) {
			t.touch(index, l.cause)
		}
	}
	for index, until := range t.awaited {
		if l := t.links[index]; l != nil && !now.Before(until) {
			t.touch(index, l.cause)
		}
	}
}
