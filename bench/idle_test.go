package bench

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const devicesWanted = 400

// idle measures the daemon at rest, with the machine's devices and ten services
// that sleep.
func idle() ([]row, error) {
	e, err := newEar("idle")
	if err != nil {
		return nil, err
	}
	files := map[string]string{"rules/none.toml": "[[rule]]\nname = \"none\"\nobject = \"link\"\nmatch = { name = \"none\" }\nrequire = [\"s0\"]\n"}
	for i := range 10 {
		files[fmt.Sprintf("services/s%d.toml", i)] = fmt.Sprintf("start_at_boot = true\nexec_start = [%q, %q]\n", filepath.Join(*tools, "stamp"), e.path)
	}
	d, err := startDaemon("idle.d", files)
	if err != nil {
		return nil, err
	}
	defer d.end()
	if _, _, err := e.hear(10); err != nil {
		return nil, fmt.Errorf("%w: %s", err, d.lastWords())
	}
	listed := countDevices()
	injected := max(0, devicesWanted-listed)
	for i := range injected {
		if err := inject(fmt.Sprintf("/devices/bench/usb1/1-%d", i)); err != nil {
			return nil, err
		}
	}
	var pss sample
	time.Sleep(3 * time.Second) // what follows the start is over
	for range 5 {
		pss = append(pss, d.pss()/1024)
		time.Sleep(200 * time.Millisecond)
	}
	what := fmt.Sprintf("idle, %d devices listed", listed)
	if injected > 0 {
		what += fmt.Sprintf(" and %d injected", injected)
	}
	return []row{
		within(what+", 10 services: PSS", pss, "MB", 6),
		told("  of which its own, of which the program's file", fmt.Sprintf("%s, %s MB",
			digits(d.number("smaps_rollup", "Pss_Anon:")/1024), digits(d.number("smaps_rollup", "Pss_File:")/1024))),
		told("  threads, file descriptors", fmt.Sprintf("%g, %d", d.threads(), d.fds())),
		told("  bin/hotsvc, bin/hsctl", fmt.Sprintf("%s, %s MB", size("bin/hotsvc"), size("bin/hsctl"))),
	}, nil
}

func size(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	return digits(float64(info.Size()) / (1 << 20))
}

// countDevices counts what a coldplug finds.
func countDevices() (n int) {
	filepath.WalkDir("/sys/devices", func(path string, f fs.DirEntry, err error) error {
		if err == nil && f.Name() == "uevent" {
			n++
		}
		return nil
	})
	return n
}

// inject has the kernel tell this network namespace of a device.
func inject(path string) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	text := strings.Join([]string{"add@" + path, "ACTION=add", "DEVPATH=" + path, "SUBSYSTEM=usb", "DEVTYPE=usb_device",
		"PRODUCT=525/a4a2/0", "TYPE=2/0/0", "BUSNUM=001", "DEVNAME=bus/usb/001/" + filepath.Base(path)}, "\x00") + "\x00"
	header := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(text)))
	header = binary.NativeEndian.AppendUint16(header, unix.NLMSG_MIN_TYPE)
	header = binary.NativeEndian.AppendUint16(header, unix.NLM_F_REQUEST)
	msg := append(append(header, make([]byte, 8)...), text...)
	return unix.Sendto(s, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}
