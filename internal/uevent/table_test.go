package uevent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotsvc/internal/object"
)

// sys makes a sysfs out of paths below its root and their contents. A content
// "-> x" is a link.
func sys(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	grow(t, root, files)
	return root
}

func grow(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(content, "-> "); link {
			_ = os.Remove(at)
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

const (
	usb  = "/devices/pci0000:00/0000:00:02.0/usb1/1-1"
	port = usb + "/1-1:1.0/ttyUSB0"
	tty  = port + "/tty/ttyUSB0"
)

// stick is a USB serial converter as the kernel shows it.
var stick = map[string]string{
	"/devices/pci0000:00/uevent":                   "",
	"/devices/pci0000:00/0000:00:02.0/uevent":      "DRIVER=xhci_hcd\nPCI_ID=1B36:000D\n",
	"/devices/pci0000:00/0000:00:02.0/vendor":      "0x1b36\n",
	"/devices/pci0000:00/0000:00:02.0/device":      "0x000d\n",
	"/devices/pci0000:00/0000:00:02.0/subsystem":   "-> ../../../bus/pci",
	"/devices/pci0000:00/0000:00:02.0/usb1/uevent": "DEVTYPE=usb_device\n",
	usb + "/uevent":                   "MAJOR=189\nMINOR=1\nDEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\nDRIVER=usb\nPRODUCT=403/6001/400\n",
	usb + "/idVendor":                 "0403\n",
	usb + "/idProduct":                "6001\n",
	usb + "/serial":                   "A50285BI\n",
	usb + "/product":                  "FT232R USB UART\n",
	usb + "/descriptors":              "\x12\x01\x00\x02",
	usb + "/power/control":            "auto\n",
	usb + "/subsystem":                "-> ../../../../../bus/usb",
	usb + "/1-1:1.0/uevent":           "DEVTYPE=usb_interface\nDRIVER=ftdi_sio\nMODALIAS=usb:v0403\n\n",
	usb + "/1-1:1.0/driver":           "-> ../../../../../../bus/usb/drivers/ftdi_sio",
	usb + "/1-1:1.0/bInterfaceNumber": "00\n",
	usb + "/1-1:1.0/subsystem":        "-> ../../../../../../bus/usb",
	port + "/uevent":                  "DRIVER=ftdi_sio\n",
	port + "/subsystem":               "-> ../../../../../../../bus/usb-serial",
	port + "/latency_timer":           "16\n",
	tty + "/uevent":                   "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\nSEQNUM=7\nHOTPLUG=1\n",
	tty + "/subsystem":                "-> ../../../../../../../../../class/tty",
	tty + "/device":                   "-> ../../../ttyUSB0",
	"/module/ftdi/uevent":             "",
}

func tell(e *engine, t *table) {
	for _, b := range t.Take(false) {
		e.sink(object.Report{Batch: &b})
	}
}

func tellAll(e *engine, t *table) {
	for _, b := range t.Take(true) {
		e.sink(object.Report{Batch: &b})
	}
}

// compare checks that the engine knows exactly what the table has.
func compare(t *testing.T, e *engine, table *table) {
	t.Helper()
	if e.store.Len() != len(table.devices) {
		t.Errorf("the engine knows %d devices of %d", e.store.Len(), len(table.devices))
	}
	for p, d := range table.devices {
		o := e.store.Get(object.Key{Kind: object.Device, ID: p})
		if o == nil {
			t.Errorf("the engine does not know %s", p)
			continue
		}
		if o.Life.Incarnation != d.incarnation || !o.Words.Equal(d.words) {
			t.Errorf("%s: the engine knows %x %v, there is %x %v", p, o.Life.Incarnation, o.Words, d.incarnation, d.words)
		}
		if p != o.Words.Get("DEVPATH") {
			t.Errorf("%s has DEVPATH %s", p, o.Words.Get("DEVPATH"))
		}
		for w := range o.Words {
			if w != strings.ToUpper(w) && !strings.HasPrefix(w, "ATTR{") || w == "ACTION" || w == "SEQNUM" || strings.HasPrefix(w, "SYNTH_") {
				t.Errorf("%s: word %s", p, w)
			}
		}
	}
}

func listed(t *testing.T, root string, attrs ...string) (*table, *engine) {
	t.Helper()
	table, e := newTable(root), &engine{}
	table.wanted = func() []string { return attrs }
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	compare(t, e, table)
	return table, e
}

func TestWordsOfAListedDevice(t *testing.T) {
	attrs := []string{
		"latency_timer", "product", "power/control", "descriptors", "driver", "missing",
		"../1-1:1.0/uevent", "/etc/passwd", "device/latency_timer", "..", "tty/ttyUSB0/uevent/x", "",
	}
	_, e := listed(t, sys(t, stick), attrs...)
	for devpath, want := range map[string]object.Words{
		usb: {
			"KERNEL": {"1-1"}, "PARENT": {"usb1"}, "SUBSYSTEM": {"usb"}, "DEVTYPE": {"usb_device"}, "DRIVER": {"usb"},
			"MAJOR": {"189"}, "MINOR": {"1"}, "DEVNAME": {"/dev/bus/usb/001/002", "bus/usb/001/002"}, "PRODUCT": {"403/6001/400"},
			"ID_BUS": {"usb"}, "ID_VENDOR_ID": {"0403"}, "ID_MODEL_ID": {"6001"}, "ID_SERIAL_SHORT": {"A50285BI"},
			"ATTR{product}": {"FT232R USB UART"}, "ATTR{power/control}": {"auto"},
		},
		usb + "/1-1:1.0": {
			"KERNEL": {"1-1:1.0"}, "PARENT": {"1-1"}, "SUBSYSTEM": {"usb"}, "DEVTYPE": {"usb_interface"}, "DRIVER": {"ftdi_sio"},
			"MODALIAS": {"usb:v0403"}, "ID_USB_INTERFACE_NUM": {"00"}, "ATTR{driver}": {"ftdi_sio"},
			"ID_BUS": {"usb"}, "ID_VENDOR_ID": {"0403"}, "ID_MODEL_ID": {"6001"}, "ID_SERIAL_SHORT": {"A50285BI"},
		},
		// ATTR{device/latency_timer} leads out of the device: ATTRS is for that.
		tty: {
			"KERNEL": {"ttyUSB0"}, "PARENT": {"ttyUSB0"}, "SUBSYSTEM": {"tty"}, "MAJOR": {"188"}, "MINOR": {"0"},
			"DEVNAME": {"/dev/ttyUSB0", "ttyUSB0"}, "ID_USB_INTERFACE_NUM": {"00"},
			"ID_BUS": {"usb"}, "ID_VENDOR_ID": {"0403"}, "ID_MODEL_ID": {"6001"}, "ID_SERIAL_SHORT": {"A50285BI"},
		},
		"/devices/pci0000:00/0000:00:02.0": {
			"KERNEL": {"0000:00:02.0"}, "PARENT": {"pci0000:00"}, "SUBSYSTEM": {"pci"}, "DRIVER": {"xhci_hcd"}, "PCI_ID": {"1B36:000D"},
			"ID_BUS": {"pci"}, "ID_VENDOR_ID": {"0x1b36"}, "ID_MODEL_ID": {"0x000d"},
		},
	} {
		want["DEVPATH"] = []string{devpath}
		o := e.get(devpath)
		if o == nil {
			t.Errorf("%s is not listed", devpath)
			continue
		}
		if !o.Words.Equal(want) {
			t.Errorf("%s:\n got %v\nwant %v", devpath, o.Words, want)
		}
		if o.Cause != "list" || o.Life.Incarnation == 0 {
			t.Errorf("%s: cause %q, incarnation %d", devpath, o.Cause, o.Life.Incarnation)
		}
	}
	o := e.get(tty)
	if v, ok := e.store.Values(o, "ATTRS{latency_timer}"); !ok || len(v) != 1 || v[0] != "16" {
		t.Errorf("ATTRS{latency_timer} = %v %v", v, ok)
	}
}

func event(action, devpath string, vars ...string) []byte {
	return payload(strings.Join(append([]string{action + "@" + devpath, "ACTION=" + action, "DEVPATH=" + devpath}, vars...), " "))
}

func TestUnbindIsNotBelievedToBeAllThereIs(t *testing.T) {
	root := sys(t, stick)
	table, e := listed(t, root)
	before := e.get(usb)
	table.Apply(event("unbind", usb, "SUBSYSTEM=usb"))
	tell(e, table)
	if o := e.get(usb); o != before {
		t.Errorf("after an unbind that changed nothing: %v", o.Words)
	}
	grow(t, root, map[string]string{usb + "/uevent": "MAJOR=189\nMINOR=1\nDEVTYPE=usb_device\n"})
	table.Apply(event("unbind", usb, "SUBSYSTEM=usb"))
	tell(e, table)
	if o := e.get(usb); o.Words["DRIVER"] != nil || o.Words.Get("ID_SERIAL_SHORT") != "A50285BI" || o.Life != before.Life {
		t.Errorf("after a real one: %+v", o)
	}
	compare(t, e, table)
}

func TestAReprobeIsOneDevice(t *testing.T) {
	table, e := listed(t, sys(t, stick))
	before := e.get(usb)
	for _, action := range []string{"remove", "add", "bind"} {
		table.Apply(event(action, usb, "SUBSYSTEM=usb"))
	}
	tell(e, table)
	if o := e.get(usb); o == nil || o.Life != before.Life || !o.Words.Equal(before.Words) {
		t.Errorf("after remove, add, bind: %+v", o)
	}
	compare(t, e, table)
}

func TestAReplugIsAnotherLife(t *testing.T) {
	root := sys(t, stick)
	table, e := listed(t, root)
	before := e.get(tty).Life
	again := func() {
		t.Helper()
		keep := filepath.Join(root, "keep") // holds the inode, so that it is not used again
		if err := os.Rename(root+tty, keep+fmt.Sprint(len(e.reports))); err != nil {
			t.Fatal(err)
		}
		grow(t, root, map[string]string{tty + "/uevent": stick[tty+"/uevent"], tty + "/subsystem": stick[tty+"/subsystem"]})
	}
	again()
	// The remove is read when the next life is there already.
	table.Apply(event("remove", tty, "SUBSYSTEM=tty"))
	tell(e, table)
	second := e.get(tty)
	if second == nil || second.Life == before {
		t.Fatalf("after the replug: %+v", second)
	}
	table.Apply(event("add", tty, "SUBSYSTEM=tty"))
	tell(e, table)
	if o := e.get(tty); o != second {
		t.Errorf("the add tells what is known: %+v", o)
	}
	again() // and one that only a list finds
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	if o := e.get(tty); o == nil || o.Life == second.Life {
		t.Errorf("after a list: %+v", o)
	}
	compare(t, e, table)
}

func TestDiskSequenceIsTheIncarnation(t *testing.T) {
	const disk = "/devices/virtual/block/loop0"
	root := sys(t, map[string]string{disk + "/uevent": "DEVNAME=loop0\nDISKSEQ=12\n"})
	table, e := listed(t, root)
	if got := e.get(disk).Life.Incarnation; got != 12 {
		t.Errorf("incarnation %d, want 12", got)
	}
	grow(t, root, map[string]string{disk + "/uevent": "DEVNAME=loop0\nDISKSEQ=13\n"})
	table.Apply(event("change", disk, "DISK_MEDIA_CHANGE=1"))
	tell(e, table)
	if o := e.get(disk); o.Life.Incarnation != 13 || o.Words["DISK_MEDIA_CHANGE"] != nil {
		t.Errorf("after new media: %+v", o)
	}
}

func TestAChangeOfTheParentIsReadInItsChildren(t *testing.T) {
	root := sys(t, stick)
	table, e := listed(t, root, "latency_timer")
	grow(t, root, map[string]string{port + "/latency_timer": "1\n"})
	table.Apply(event("change", usb, "HOTPLUG=1"))
	tell(e, table)
	if got := e.get(port).Words.Get("ATTR{latency_timer}"); got != "1" {
		t.Errorf("latency_timer = %q", got)
	}
	if e.get(usb).Words["HOTPLUG"] != nil {
		t.Error("HOTPLUG is a word")
	}
}

func TestOnlyEventsTellWithoutSysfs(t *testing.T) {
	table, e := newTable("/nonexistent"), &engine{}
	var note string
	table.note = func(s string) { note = s }
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	if !strings.Contains(note, "no usable sysfs") {
		t.Errorf("note %q", note)
	}
	table.Apply(event("add", usb, "SUBSYSTEM=usb", "DEVTYPE=usb_device", "PRODUCT=403/6001/400", "DEVNAME=bus/usb/001/002"))
	table.Apply(event("add", usb+"/1-1:1.0", "SUBSYSTEM=usb", "SYNTH_UUID=0"))
	tell(e, table)
	o := e.get(usb + "/1-1:1.0")
	if o == nil || o.Words.Get("ID_VENDOR_ID") != "0403" || o.Words.Get("ID_MODEL_ID") != "6001" || o.Words.Get("PARENT") != "1-1" {
		t.Errorf("%+v", o)
	}
	if o.Life.Incarnation&made == 0 || o.Life == e.get(usb).Life {
		t.Errorf("life %+v", o.Life)
	}
	table.Apply(event("bind", usb+"/1-1:1.0", "DRIVER=ftdi_sio"))
	table.Apply(event("unbind", usb+"/1-1:1.0"))
	tell(e, table)
	if again := e.get(usb + "/1-1:1.0"); !again.Words.Equal(o.Words) || again.Life != o.Life {
		t.Errorf("after bind and unbind: %+v", again)
	}
	if err := table.List(true); err != nil { // nothing to see is not nothing there
		t.Fatal(err)
	}
	tellAll(e, table)
	if e.store.Len() != 2 {
		t.Errorf("%d devices after a list without sysfs", e.store.Len())
	}
	table.Apply(event("remove", usb))
	tell(e, table)
	compare(t, e, table)
	if e.store.Len() != 0 {
		t.Errorf("children outlive the parent: %v", e.store.All(""))
	}
}

func TestLateWordsOfADeviceThatWent(t *testing.T) {
	table, e := newTable("/nonexistent"), &engine{}
	for _, action := range []string{"change", "bind", "unbind", "online", "offline", "remove"} {
		if !table.Apply(event(action, "/devices/x")) {
			t.Errorf("%s refused", action)
		}
	}
	tell(e, table)
	if len(e.reports) != 0 {
		t.Errorf("told %v", e.reports)
	}
}

func TestWhatIsNoDevice(t *testing.T) {
	table := newTable("/nonexistent")
	for _, p := range []string{"/module/x", "/bus/usb/drivers/x", "/class/x", "/kernel/slab/x", "/devices"} {
		if !table.Apply(event("add", p)) {
			t.Errorf("%s refused", p)
		}
	}
	for _, p := range []string{"/devices/../x", "/devices//x", "/devices/x/", "devices/x", "/devices/./x"} {
		if table.Apply(event("add", p)) {
			t.Errorf("%s believed", p)
		}
	}
	if table.Apply(payload("add@/devices/x ACTION=add DEVPATH=/devices/y")) {
		t.Error("a contradiction believed")
	}
	if len(table.devices) != 0 {
		t.Errorf("devices %v", table.devices)
	}
}

func TestTheListIsLookedAtOnceMore(t *testing.T) {
	root := sys(t, stick)
	table, e := listed(t, root)
	if table.Due().IsZero() {
		t.Fatal("no second look")
	}
	if err := os.RemoveAll(root + tty); err != nil {
		t.Fatal(err)
	}
	table.Tick()
	tell(e, table)
	if e.get(tty) != nil || !table.Due().IsZero() {
		t.Errorf("still there: %v", e.get(tty))
	}
	compare(t, e, table)
}

func TestANewAttributeKeepsInjectedDevices(t *testing.T) {
	table, e := listed(t, sys(t, stick))
	table.Apply(event("add", "/devices/made-up", "SUBSYSTEM=x"))
	tell(e, table)
	if err := table.List(false); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	if e.get("/devices/made-up") == nil {
		t.Error("gone after a list that only wanted attributes")
	}
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	if e.get("/devices/made-up") != nil {
		t.Error("its remove was lost, and it stays for ever")
	}
}
