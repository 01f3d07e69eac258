package sysfs

import (
	"os"
	"path"

	"hotsvc/internal/object"
)

// ids is what a device inherits from the hardware above it, as udev's builtin
// usb_id and its rules 75-net-description do for USB and PCI.
type ids struct {
	bus, vendor, model, serial, iface string

	device bool // the directory it was read from is a device
}

// derive adds ID_BUS, ID_VENDOR_ID, ID_MODEL_ID, ID_SERIAL_SHORT and
// ID_USB_INTERFACE_NUM where the device or what is above it gives them.
func (t *Tree) derive(w object.Words, devpath string) {
	found := t.above(devpath)
	for _, d := range []struct{ key, value string }{
		{"ID_BUS", found.bus}, {"ID_VENDOR_ID", found.vendor}, {"ID_MODEL_ID", found.model},
		{"ID_SERIAL_SHORT", found.serial}, {"ID_USB_INTERFACE_NUM", found.iface},
	} {
		if d.value != "" && w[d.key] == nil { // an injected device may bring its own
			w[d.key] = t.texts.One(d.value)
		}
	}
}

// above looks at the device itself, then at each ancestor; the nearest wins.
func (t *Tree) above(devpath string) ids {
	if len(devpath) <= len("/devices/") {
		return ids{}
	}
	if found, known := t.ids[devpath]; known {
		return found
	}
	dir := t.Root + devpath
	var found ids
	if vendor := t.small(dir, "idVendor"); vendor != "" {
		found = ids{bus: "usb", vendor: vendor, model: t.small(dir, "idProduct"), serial: t.small(dir, "serial")}
	} else if iface := t.small(dir, "bInterfaceNumber"); iface != "" {
		found = t.above(path.Dir(devpath))
		found.iface = iface
	} else if linkBase(dir+"/subsystem") == "pci" {
		found = ids{bus: "pci", vendor: t.small(dir, "vendor"), model: t.small(dir, "device")}
	} else {
		found = t.above(path.Dir(devpath))
	}
	if t.ids != nil {
		_, err := os.Lstat(dir + "/uevent")
		found.device = err == nil
		t.ids[devpath] = found
	}
	return found
}

func (t *Tree) small(dir, name string) string {
	text, err := readFile(dir + "/" + name)
	if err != nil {
		return ""
	}
	return trim(text)
}
