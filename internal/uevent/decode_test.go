package uevent

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pilebones/go-udev/netlink"
)

// captured are payloads of real kernels, NUL shown as space.
var captured = []string{
	"add@/devices/virtual/mac80211_hwsim/hwsim1/net/wlan0 ACTION=add DEVPATH=/devices/virtual/mac80211_hwsim/hwsim1/net/wlan0 SUBSYSTEM=net DEVTYPE=wlan INTERFACE=wlan0 IFINDEX=4 SEQNUM=678",
	"add@/devices/pci0000:00/0000:00:02.0/usb1/1-1 ACTION=add DEVPATH=/devices/pci0000:00/0000:00:02.0/usb1/1-1 SUBSYSTEM=usb MAJOR=189 MINOR=1 DEVNAME=bus/usb/001/002 DEVTYPE=usb_device PRODUCT=525/a4a2/0 TYPE=2/0/0 BUSNUM=001 DEVNUM=002 SEQNUM=695",
	"add@/devices/virtual/block/zram1 ACTION=add DEVPATH=/devices/virtual/block/zram1 SUBSYSTEM=block MAJOR=253 MINOR=1 DEVNAME=zram1 DEVTYPE=disk DISKSEQ=11 SEQNUM=4782",
	"change@/devices/virtual/block/loop0 ACTION=change DEVPATH=/devices/virtual/block/loop0 SUBSYSTEM=block DISK_MEDIA_CHANGE=1 MAJOR=7 MINOR=0 DEVNAME=loop0 DEVTYPE=disk DISKSEQ=12 SEQNUM=4790",
	"move@/devices/virtual/net/wlan7 ACTION=move DEVPATH=/devices/virtual/net/wlan7 SUBSYSTEM=net DEVPATH_OLD=/devices/virtual/net/va INTERFACE=wlan7 IFINDEX=3 SEQNUM=4709",
	"add@/devices/virtual/mem/null ACTION=add DEVPATH=/devices/virtual/mem/null SUBSYSTEM=mem SYNTH_UUID=aaaaaaaa-0000-0000-0000-000000000000 SYNTH_ARG_FOO=bar MAJOR=1 MINOR=3 DEVNAME=null DEVMODE=0666 SEQNUM=4785",
	"offline@/devices/system/cpu/cpu1 ACTION=offline DEVPATH=/devices/system/cpu/cpu1 SUBSYSTEM=cpu DRIVER=processor SEQNUM=800",
	"unbind@/devices/pci0000:00/0000:00:02.0/usb1/1-1 ACTION=unbind DEVPATH=/devices/pci0000:00/0000:00:02.0/usb1/1-1 SUBSYSTEM=usb SEQNUM=711",
}

func payload(text string) []byte { return []byte(strings.ReplaceAll(text, " ", "\x00") + "\x00") }

func TestDecodeCaptured(t *testing.T) {
	for _, text := range captured {
		ev, tolerant, err := decode(payload(text))
		if err != nil || tolerant {
			t.Errorf("%s: %v, tolerant %v", text, err, tolerant)
			continue
		}
		if want := text[:strings.IndexByte(text, ' ')]; ev.Action.String()+"@"+ev.KObj != want {
			t.Errorf("%s: head %s@%s", text, ev.Action, ev.KObj)
		}
		if len(ev.Env) != strings.Count(text, " ") {
			t.Errorf("%s: %d variables", text, len(ev.Env))
		}
	}
}

func TestDecodeWhatTheLibraryRefuses(t *testing.T) {
	for text, want := range map[string]netlink.UEvent{
		"add@/devices/platform/soc@0/30800000.bus/serial@1 ACTION=add SUBSYSTEM=tty": {
			Action: "add", KObj: "/devices/platform/soc@0/30800000.bus/serial@1",
			Env: map[string]string{"ACTION": "add", "SUBSYSTEM": "tty"},
		},
		"change@/devices/x HID_NAME=a=b=c EMPTY= NOVALUE =x": {
			Action: "change", KObj: "/devices/x",
			Env: map[string]string{"HID_NAME": "a=b=c", "EMPTY": ""},
		},
	} {
		ev, tolerant, err := decode(payload(text))
		if err != nil || !tolerant {
			t.Errorf("%s: %v, tolerant %v", text, err, tolerant)
			continue
		}
		if ev.Action != want.Action || ev.KObj != want.KObj || !maps.Equal(ev.Env, want.Env) {
			t.Errorf("%s: got %+v", text, ev)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := "add@/devices/x\x00ACTION=add\x00"
	for name, msg := range map[string]string{
		"nothing":          "",
		"one byte":         "a",
		"one NUL":          "\x00",
		"without NUL":      "add@/devices/x",
		"last without NUL": whole + "DEVNAME=tty",
		"64 KiB":           whole + strings.Repeat("A=b\x00", 16<<10),
		"64 KiB no NUL":    strings.Repeat("a", 64<<10),
		"no at":            "add/devices/x\x00",
		"no devpath":       "add@\x00",
		"no action":        "@/devices/x\x00",
		"unknown action":   "explode@/devices/x\x00",
		"udevd's":          "libudev\x00\xfe\xed\xca\xfe" + strings.Repeat("\x00", 60),
	} {
		if ev, _, err := decode([]byte(msg)); err == nil {
			t.Errorf("%s: accepted as %+v", name, ev)
		}
		if newTable("/nonexistent").Apply([]byte(msg)) {
			t.Errorf("%s: the table took it", name)
		}
	}
}

// FuzzDecode also compares: what the library accepts, the tolerant lines must
// read in the same way, or a fallback would tell another story.
func FuzzDecode(f *testing.F) {
	for _, text := range captured {
		f.Add(payload(text))
	}
	f.Add([]byte("add@/devices/soc@0/x\x00A=b=c\x00"))
	f.Add([]byte("add@/devices/../x\x00DEVPATH=/devices/../x\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		ev, tolerant, err := decode(msg)
		if err != nil {
			return
		}
		if ev.KObj == "" || len(msg) == 0 || msg[len(msg)-1] != 0 {
			t.Errorf("accepted %q", msg)
		}
		if !tolerant {
			for key, value := range ev.Env {
				if !slices.Contains(strings.Split(string(msg), "\x00"), key+"="+value) {
					t.Errorf("%q: made up %s=%s", msg, key, value)
				}
			}
		}
	})
}

// FuzzApply throws sequences of messages at a table without /sys: whatever it
// is told, its keys are devpaths and its words are words.
func FuzzApply(f *testing.F) {
	f.Add("add@/devices/a/b\x00SUBSYSTEM=x\x00\nmove@/devices/c\x00DEVPATH_OLD=/devices/a\x00\nremove@/devices/c\x00")
	f.Add("add@/devices/a\x00\nadd@/devices/a/b\x00DEVNAME=/dev/x\x00\nmove@/devices/z\x00DEVPATH_OLD=/devices/a\x00\nmove@/devices/a\x00DEVPATH_OLD=/devices/z\x00")
	f.Fuzz(func(t *testing.T, text string) {
		table := newTable("/nonexistent")
		e := &engine{}
		for msg := range strings.SplitSeq(text, "\n") {
			table.Apply([]byte(msg))
			tell(e, table)
		}
		compare(t, e, table)
	})
}
