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
// There is no call that asks for the owner, so the names that both sides know
// are compared by ifindex and hardware address. lo is everywhere and proves
// nothing. A link made or renamed in between differs for a moment: look again.
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
	both := 0
	for _, l := range links {
		if names[l.Name] {
			both++
			if !t.Shows(l.Name, l.Index, l.HardwareAddr) {
				return false
			}
		}
	}
	return both > 0 || len(names) == 0
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
