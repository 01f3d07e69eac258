package linkwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/nlsource"
	"hotsvc/internal/object"
)

// Config says where the source looks. Its zero value is right for the daemon.
type Config struct {
	Sys  string // instead of /sys
	Proc string // instead of /proc
	Run  string // instead of /run, where udevd and other network managers leave their state
	Room int    // bytes of messages that the socket holds; 0: plenty

	// Udev says whether a new link waits until udevd is done with it: "yes", "no",
	// or "auto", also "", where udevd is there.
	Udev string
	// Log takes what is worth a line to people.
	Log func(string)
}

// plenty holds some 2000 link messages of 1.5 kB each and their overhead. The
// kernel takes the memory only while messages wait.
const plenty = 8 << 20

// Multicast groups as bits of sockaddr_nl.nl_groups (netlink(7)).
const (
	groups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1)

	routeGroups = 1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
)

// Watcher is the source of links.
type Watcher struct {
	follow nlsource.Follower
	table  *table
	wifi   *wifi

	mu     sync.Mutex
	attrs  []string
	routes bool
}

// New makes a source; Run starts it.
func New(c Config) *Watcher {
	for _, d := range []struct {
		field *string
		value string
	}{{&c.Sys, "/sys"}, {&c.Proc, "/proc"}, {&c.Run, "/run"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Room == 0 {
		c.Room = plenty
	}
	w := &Watcher{}
	w.table = newTable(c)
	w.table.wanted = w.wanted
	w.table.refuse = w.follow.Refuse
	w.table.relist = w.follow.Ask
	w.table.udevd.note = w.follow.Note
	if c.Log != nil {
		w.table.udevd.log = c.Log
	}
	w.follow = nlsource.Follower{
		Name:   "link",
		Family: unix.NETLINK_ROUTE,
		Groups: groups,
		Room:   c.Room,
		Table:  w.table,
	}
	w.table.desk = newDesk()
	w.table.desk.wakeLinks = w.follow.Wake
	w.wifi = newWifi(w.table.desk)
	return w
}

// Run reports links to sink until ctx ends. It also reports how it is with Wi-Fi,
// as a source "wifi" without objects: absent where the kernel has no nl80211.
// sink is called from two goroutines.
func (w *Watcher) Run(ctx context.Context, sink object.Sink) error {
	ended := make(chan error, 1)
	go func() { ended <- w.wifi.run(ctx, sink) }()
	err := w.follow.Run(ctx, sink)
	select {
	case other := <-ended:
		return errors.Join(err, other)
	case <-time.After(time.Second): // a broken driver may keep a request for good
		return err
	}
}

// SetAttrs says which sysfs attributes the rules on links ask for: the x of
// "ATTR{x}", of the link's own directory or else of the device beneath. A name
// that was not asked for before makes a list.
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

// SetDefaultRoutes says whether the rules ask for default4 or default6. Only
// then are routes subscribed to: a router may have a million of them.
func (w *Watcher) SetDefaultRoutes(on bool) {
	w.mu.Lock()
	changed := w.routes != on
	w.routes = on
	w.mu.Unlock()
	switch {
	case changed && on:
		w.follow.AskGroups(routeGroups)
	case changed:
		w.follow.Ask()
	}
}

// SetUp sets a link up, as `ip link set up` does.
func (w *Watcher) SetUp(ifindex int) error {
	if ifindex <= 0 {
		return fmt.Errorf("linkwatch: set up link %d: no such ifindex", ifindex)
	}
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("linkwatch: set up link %d: %w", ifindex, err)
	}
	return nil
}

func (w *Watcher) wanted() (attrs []string, routes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attrs, w.routes
}
