package uevent

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"hotsvc/internal/nlsource"
	"hotsvc/internal/object"
)

// Config says where the source looks. Its zero value is right for the daemon.
type Config struct {
	Sys  string // instead of /sys
	Room int    // bytes of messages that the socket holds; 0: plenty
}

// plenty holds some 20 000 uevents; a coldplug trigger of a large machine is a
// few thousand. The kernel takes the memory only while messages wait.
const plenty = 16 << 20

// Watcher is the source of devices.
type Watcher struct {
	follow nlsource.Follower
	table  *table

	mu    sync.Mutex
	attrs []string // wanted
}

// New makes a source; Run starts it.
func New(c Config) *Watcher {
	if c.Sys == "" {
		c.Sys = "/sys"
	}
	if c.Room == 0 {
		c.Room = plenty
	}
	w := &Watcher{}
	w.table = newTable(c.Sys)
	w.table.wanted = w.wanted
	w.table.note = w.follow.Note
	w.follow = nlsource.Follower{
		Name:   "uevent",
		Family: unix.NETLINK_KOBJECT_UEVENT,
		Groups: 1, // the kernel's; 2 is udevd's (lib/kobject_uevent.c)
		Room:   c.Room,
		Table:  w.table,
	}
	return w
}

// Run reports devices to sink until ctx ends.
func (w *Watcher) Run(ctx context.Context, sink object.Sink) error {
	return w.follow.Run(ctx, sink)
}

// SetAttrs says which sysfs attributes the rules ask for: the x of "ATTR{x}"
// and "ATTRS{x}". A name that was not asked for before makes a list. It may be
// called at any time, from anywhere.
func (w *Watcher) SetAttrs(names []string) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	w.mu.Lock()
	more := slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(w.attrs, n) })
	w.attrs = names
	w.mu.Unlock()
	if more {
		w.follow.Ask()
	}
}

func (w *Watcher) wanted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attrs
}

var _ nlsource.Table = (*table)(nil)
