package linkwatch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// dongle is a USB radio and the port it sits in, as /sys shows them.
var dongle = map[string]string{
	"/devices/usb1/1-1/uevent":                          "DEVTYPE=usb_device\n",
	"/devices/usb1/1-1/idVendor":                        "0bda\n",
	"/devices/usb1/1-1/idProduct":                       "8176\n",
	"/devices/usb1/1-1/serial":                          "00e04c000001\n",
	"/devices/usb1/1-1/1-1:1.0/uevent":                  "DEVTYPE=usb_interface\nDRIVER=rtl8192cu\n",
	"/devices/usb1/1-1/1-1:1.0/bInterfaceNumber":        "00\n",
	"/devices/usb1/1-1/1-1:1.0/subsystem":               "-> ../../../../bus/usb",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/uevent":        "DEVTYPE=wlan\nINTERFACE=wlan0\nIFINDEX=4\n",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/ifindex":       "4\n",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/address":       "02:00:00:00:01:00\n",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/dev_id":        "0x0\n",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/device":        "-> ../../../1-1:1.0",
	"/devices/usb1/1-1/1-1:1.0/net/wlan0/phy80211/name": "phy0\n",
	"/class/net/wlan0":                                  "-> ../../devices/usb1/1-1/1-1:1.0/net/wlan0",
}

func sys(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func told(table *table, store *object.Store) *object.Object {
	for _, b := range table.Take(false) {
		store.Apply(b)
	}
	return store.Get(object.LinkKey(4))
}

func TestALinkIsToldWholeWithItsDevice(t *testing.T) {
	root := sys(t, dongle)
	table := newTable(Config{Sys: root, Proc: "/nonexistent", Run: "/nonexistent"})
	table.tree.Attrs = []string{"idVendor", "dev_id", "bInterfaceNumber"}
	store := &object.Store{}
	table.Apply(wlan(0x1002, 2, 1))
	o := told(table, store)
	for word, want := range map[string]string{
		"wireless": "true", "physical": "true", "carrier": "false", "mac": "02:00:00:00:01:00",
		"DRIVER": "rtl8192cu", "DEVTYPE": "usb_interface", "SUBSYSTEM": "usb", "KERNEL": "1-1:1.0", "DEVPATH": "/devices/usb1/1-1/1-1:1.0",
		"ID_BUS": "usb", "ID_VENDOR_ID": "0bda", "ID_MODEL_ID": "8176", "ID_SERIAL_SHORT": "00e04c000001", "ID_USB_INTERFACE_NUM": "00",
		"ATTR{dev_id}": "0x0", "ATTR{bInterfaceNumber}": "00", "ATTR{idVendor}": "",
	} {
		if got := o.Words.Get(word); got != want {
			t.Errorf("%s = %q, want %q", word, got, want)
		}
	}
	if v, ok := store.Values(o, "ATTRS{idVendor}"); !ok || len(v) != 1 || v[0] != "0bda" {
		t.Errorf("ATTRS{idVendor} = %v %v", v, ok)
	}
	// A change of its state asks /sys nothing.
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	table.Apply(wlan(0x11043, 6, 1))
	if o := told(table, store); o.Words.Get("running") != "true" || o.Words.Get("DRIVER") != "rtl8192cu" || o.Words.Get("wireless") != "true" {
		t.Errorf("%+v", o)
	}
}

// udev renames a radio before its first message is read: until the message with
// the new name comes, nobody may take it for a cable.
func TestARadioIsNeverTakenForACable(t *testing.T) {
	files := make(map[string]string)
	for name, content := range dongle {
		files[strings.ReplaceAll(name, "wlan0", "wlp1")] = strings.ReplaceAll(content, "wlan0", "wlp1")
	}
	table := newTable(Config{Sys: sys(t, files), Proc: "/nonexistent", Run: "/nonexistent"})
	table.ours = true
	store := &object.Store{}
	table.Apply(wlan(0x1002, 2, 1))
	o := told(table, store)
	if v, ok := store.Values(o, "wireless"); ok {
		t.Errorf("wireless = %v before it can be known", v)
	}
	renamed := datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0x1002, named("wlp1"), attr(unix.IFLA_ADDRESS, 2, 0, 0, 0, 1, 0)))
	table.Apply(renamed)
	if o := told(table, store); o.Words.Get("wireless") != "true" || o.Words.Get("physical") != "true" {
		t.Errorf("%+v", o)
	}
}

// A link that was there before under this name and ifindex, with another
// hardware address: /sys shows another network namespace.
func TestAnothersSysfsIsNotBelieved(t *testing.T) {
	files := make(map[string]string)
	for name, content := range dongle {
		files[name] = strings.ReplaceAll(content, "02:00:00:00:01:00", "02:00:00:00:99:99")
	}
	table := newTable(Config{Sys: sys(t, files), Proc: "/nonexistent", Run: "/nonexistent"})
	store := &object.Store{}
	table.Apply(wlan(0x1002, 2, 1))
	if o := told(table, store); o.Words["DRIVER"] != nil || o.Words.Get("wireless") != "false" {
		t.Errorf("%+v", o)
	}
}
