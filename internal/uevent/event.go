package uevent

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pilebones/go-udev/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
	"hotsvc/internal/sysfs"
)

// Apply takes one uevent in.
func (t *table) Apply(msg []byte) bool {
	ev, tolerant, err := decode(msg)
	if err != nil {
		return false
	}
	if tolerant {
		t.tolerated++
	}
	if to, ok := ev.Env["DEVPATH"]; ok && to != ev.KObj {
		return false // the kernel never contradicts itself
	}
	if !sysfs.ValidDevpath(ev.KObj) {
		// Drivers, buses, modules and file systems have uevents too; what is
		// not below /devices is no device.
		return strings.HasPrefix(ev.KObj, "/") && path.Clean(ev.KObj) == ev.KObj
	}
	cause := "uevent " + ev.Action.String()
	switch ev.Action {
	case netlink.REMOVE:
		t.remove(ev, cause)
	case netlink.MOVE:
		t.move(ev, cause)
	case netlink.CHANGE:
		t.refresh(ev, cause)
		// DRM and SD cards raise one change on the parent for what changed in
		// its children.
		t.again(t.below(ev.KObj), cause)
	default:
		t.refresh(ev, cause)
	}
	return true
}

// refresh takes in what the device is now. /sys is believed before the
// message: an unbind carries less than the device still has, and a message is
// older than what we read.
func (t *table) refresh(ev *netlink.UEvent, cause string) {
	if t.readable(ev) {
		found, err := t.tree.Read(ev.KObj)
		if err == nil {
			t.put(ev.KObj, found.Inode, found.Words, cause)
			return
		}
		if _, err := t.tree.Inode(ev.KObj); err == nil {
			return // it has a directory but no file uevent: a part of a device
		}
	}
	d := t.devices[ev.KObj]
	switch {
	case ev.Env["SUBSYSTEM"] == "queues":
		return // such a part, of a link that we cannot see
	case d != nil && d.inode != 0:
		return // what /sys had went, or has a next life: its own events follow
	case d == nil && ev.Action != netlink.ADD:
		return // a late word of a device that went: only an add makes one
	}
	words := make(object.Words, len(ev.Env))
	if d != nil {
		for k, v := range d.words {
			words[k] = v
		}
	}
	if ev.Action == netlink.UNBIND {
		delete(words, "DRIVER")
	}
	for key, value := range ev.Env {
		t.tree.Property(words, key, value)
	}
	t.tree.Place(words, ev.KObj)
	t.inherit(words, ev.KObj)
	t.put(ev.KObj, 0, words, cause)
}

// inherit gives a device without sysfs what it would have from its ancestors.
func (t *table) inherit(words object.Words, devpath string) {
	if product := words.Get("PRODUCT"); words.Get("DEVTYPE") == "usb_device" && product != "" {
		// "525/a4a2/0": idVendor/idProduct/bcdDevice without leading zeros
		// (drivers/usb/core/usb.c, usb_dev_uevent).
		if vendor, rest, ok := strings.Cut(product, "/"); ok {
			model, _, _ := strings.Cut(rest, "/")
			own(words, "ID_BUS", "usb")
			own(words, "ID_VENDOR_ID", pad(vendor))
			own(words, "ID_MODEL_ID", pad(model))
		}
	}
	if above := t.ancestor(devpath); above != nil {
		words["PARENT"] = above.words["KERNEL"]
		if words["ID_BUS"] == nil {
			for _, key := range []string{"ID_BUS", "ID_VENDOR_ID", "ID_MODEL_ID", "ID_SERIAL_SHORT", "ID_USB_INTERFACE_NUM"} {
				if v := above.words[key]; v != nil && words[key] == nil {
					words[key] = v
				}
			}
		}
	}
}

func own(words object.Words, key, value string) {
	if words[key] == nil {
		words[key] = []string{value}
	}
}

func pad(hex string) string { return strings.Repeat("0", max(0, 4-len(hex))) + hex }

// readable tells whether /sys may be asked about the event's device. Of links
// and their queues it may show those of another network namespace, under the
// same names; uevents of links come only from our own.
func (t *table) readable(ev *netlink.UEvent) bool {
	switch ev.Env["SUBSYSTEM"] {
	case "net":
		index, err := strconv.Atoi(ev.Env["IFINDEX"])
		return t.ours && err == nil && t.tree.Shows(path.Base(ev.KObj), index, nil)
	case "queues":
		return t.ours
	}
	return true
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTDIR)
}

// remove drops a device, unless its devpath has the next life already: then the
// message is older than /sys, and what is there now is the truth.
func (t *table) remove(ev *netlink.UEvent, cause string) {
	d := t.devices[ev.KObj]
	if d == nil {
		return
	}
	if d.inode != 0 {
		// The directory outlives the message a little (device_del sends it
		// first), so only another inode is another life.
		if now, err := t.tree.Inode(ev.KObj); err == nil && now != d.inode {
			if found, err := t.tree.Read(ev.KObj); err == nil {
				t.put(ev.KObj, found.Inode, found.Words, cause)
				return
			}
		}
	}
	t.drop(ev.KObj)
}

// move gives a device and all beneath it a new devpath. The kernel tells it
// once, for the top (kobject_move, kobject_rename in lib/kobject.c).
func (t *table) move(ev *netlink.UEvent, cause string) {
	from := ev.Env["DEVPATH_OLD"]
	if !sysfs.ValidDevpath(from) || from == ev.KObj || t.devices[from] == nil {
		t.refresh(&netlink.UEvent{Action: netlink.ADD, KObj: ev.KObj, Env: ev.Env}, cause)
		return
	}
	if t.devices[ev.KObj] != nil {
		t.drop(ev.KObj) // its remove was not told, and the name is taken now
	}
	if len(t.order) > 0 || len(t.moves) > 0 {
		t.flush()
	}
	t.moves = append(t.moves, object.Move{From: from, To: ev.KObj})
	moved := append([]string{from}, t.below(from)...)
	for _, old := range moved {
		d := t.devices[old]
		delete(t.devices, old)
		to := ev.KObj + old[len(from):]
		words := make(object.Words, len(d.words))
		for k, v := range d.words {
			words[k] = v
		}
		t.tree.Place(words, to)
		if d.inode == 0 {
			t.inherit(words, to)
		}
		t.devices[words.Get("DEVPATH")] = &device{d.incarnation, d.inode, words, cause, d.told}
		t.touch(words.Get("DEVPATH"), cause)
	}
	t.refresh(ev, cause)
	if t.readable(ev) {
		t.dirents = make([]byte, 8<<10)
		t.beneath(ev.KObj, cause)
		t.dirents = nil
	}
}

// beneath takes in what /sys has below a device that moved: the messages of what
// came with it may have the old devpath, where nothing was to be read any more.
func (t *table) beneath(devpath, cause string) {
	_, below := t.entries(t.tree.Root + devpath)
	for _, name := range below {
		p := devpath + "/" + name
		if found, err := t.tree.Read(p); err == nil {
			if found.Words.Get("SUBSYSTEM") == "net" && !t.ours {
				continue // of another network namespace
			}
			t.put(p, found.Inode, found.Words, cause)
		}
		t.beneath(p, cause)
	}
}

// again re-reads devices that /sys has.
func (t *table) again(devpaths []string, cause string) {
	for _, p := range devpaths {
		if t.devices[p].inode == 0 {
			continue
		}
		if found, err := t.tree.Read(p); err == nil {
			t.put(p, found.Inode, found.Words, cause)
		}
	}
}
