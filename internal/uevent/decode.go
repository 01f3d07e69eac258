package uevent

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pilebones/go-udev/netlink"
)

var errFormat = errors.New("uevent: not a kernel uevent")

// longest is beyond what the kernel can send: UEVENT_BUFFER_SIZE is 2 KiB of
// variables, before them action and devpath (include/linux/kobject.h).
const longest = 32 << 10

// decode reads one message of the kernel: "ACTION@DEVPATH\0KEY=VALUE\0…\0".
//
// go-udev decodes what it can. It splits the head at every '@' and each
// variable at every '=', so it refuses devices below /devices/platform/soc@0
// and values such as HID_NAME=a=b; those are decoded here into the same type,
// and tolerant says so. It panics on a message without NUL and drops what
// follows the last one, so such messages never get there.
func decode(msg []byte) (ev *netlink.UEvent, tolerant bool, err error) {
	if len(msg) == 0 || len(msg) > longest || msg[len(msg)-1] != 0 || bytes.HasPrefix(msg, []byte("libudev\x00")) {
		return nil, false, errFormat // libudev: udevd's own group, to which we never subscribe
	}
	if ev, err := parse(msg); err == nil {
		return ev, false, nil
	}
	head, rest, _ := strings.Cut(string(msg[:len(msg)-1]), "\x00")
	name, devpath, ok := strings.Cut(head, "@")
	action, err := netlink.ParseKObjAction(name)
	if !ok || err != nil || devpath == "" {
		return nil, false, errFormat
	}
	ev = &netlink.UEvent{Action: action, KObj: devpath, Env: make(map[string]string)}
	for field := range strings.SplitSeq(rest, "\x00") {
		if key, value, ok := strings.Cut(field, "="); ok && key != "" {
			ev.Env[key] = value
		}
	}
	return ev, true, nil
}

// parse is go-udev behind a net: a panic of a decoder must cost one message and
// not the daemon.
func parse(msg []byte) (ev *netlink.UEvent, err error) {
	defer func() {
		if r := recover(); r != nil {
			ev, err = nil, fmt.Errorf("uevent: decoder: %v", r)
		}
	}()
	ev, err = netlink.ParseUEvent(msg)
	if err == nil && ev.KObj == "" {
		err = errFormat
	}
	return ev, err
}
