package sysfs

import (
	"net"
	"os"
	"strconv"
)

// OfThisNetwork tells whether /sys shows the links of the network namespace
// that the daemon is in. A sysfs mount belongs to the namespace of who mounted
// it (fs/sysfs/mount.c): after a plain setns, as `nsenter --net` does it, /sys
// still shows another machine's eth0, maybe even with the same ifindex.
//
// There is no call that asks for the owner, so the links whose names both sides
// know are compared. One that agrees in ifindex and hardware address proves it;
// lo is everywhere and proves nothing. A link that is made, renamed or deleted
// in between proves nothing either, so without a proof it looks again.
func (t *Tree) OfThisNetwork() bool {
	for range 3 {
		links, err := net.Interfaces() // asks rtnetlink, which is always our own
		if err != nil {
			return false
		}
		if t.agrees(links) {
			return true
		}
	}
	return false
}

func (t *Tree) agrees(links []net.Interface) bool {
	entries, err := os.ReadDir(t.Root + "/class/net")
	if err != nil {
		return false
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		if e.Type()&os.ModeSymlink != 0 && e.Name() != "lo" { // bonding_masters is a file
			names[e.Name()] = true
		}
	}
	alike, other := 0, 0
	for _, l := range links {
		switch {
		case !names[l.Name]:
		case t.Shows(l.Name, l.Index, l.HardwareAddr):
			if len(l.HardwareAddr) > 0 {
				return true
			}
			alike++ // a tunnel: its ifindex alone may be chance
		default:
			other++
		}
	}
	return other == 0 && (alike > 0 || len(names) == 0)
}

// Shows tells whether /sys/class/net/NAME is the link with that ifindex and
// hardware address (none: not compared).
func (t *Tree) Shows(name string, index int, mac net.HardwareAddr) bool {
	dir := t.Root + "/class/net/" + name
	text, err := readFile(dir + "/ifindex")
	if err != nil || trim(text) != strconv.Itoa(index) {
		return false
	}
	if len(mac) == 0 {
		return true
	}
	text, err = readFile(dir + "/address")
	return err == nil && trim(text) == mac.String()
}
