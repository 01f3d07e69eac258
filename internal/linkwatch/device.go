package linkwatch

import (
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	"hotsvc/internal/object"
	"hotsvc/internal/sysfs"
)

// readDevice reads what only /sys knows of a link: the device beneath and
// whether it is a radio. It is done once, before the link is first told: never
// for a mere change of its state. /sys may show another network namespace (see
// sysfs.OfThisNetwork) or, after a rename, another link of that name; so it is
// believed only where ifindex and hardware address agree, and asked again with
// the next name or address otherwise.
func (t *table) readDevice(l *link) {
	mac, _ := net.ParseMAC(l.mac)
	if !t.tree.Shows(l.name, l.index, mac) {
		return
	}
	dir := t.tree.Root + "/class/net/" + l.name
	target, err := os.Readlink(dir)
	if err != nil {
		return
	}
	l.read = true
	l.wireless = isRadio(dir)
	l.beneath, l.device = nil, false
	own := path.Clean("/class/net/" + target)
	if to, err := os.Readlink(dir + "/device"); err == nil {
		l.device = true
		if found, err := t.tree.Read(path.Clean(own + "/" + to)); err == nil {
			l.beneath = found.Words
		}
	}
	if len(t.tree.Attrs) > 0 && l.beneath == nil {
		l.beneath = make(object.Words)
	}
	for _, name := range t.tree.Attrs {
		if value, ok := t.tree.Attr(t.tree.Root+own, name); ok {
			l.beneath["ATTR{"+name+"}"] = t.texts.One(value)
		}
		// The engine cannot ask the ancestors: they are the device source's, of
		// which a link's words must not wait.
		if value, ok := t.tree.Inherited(own, name); ok {
			l.beneath["ATTRS{"+name+"}"] = t.texts.One(value)
		}
	}
}

// isRadio: cfg80211 gives its links the type "wlan" and a link to the radio;
// drivers with only the old wireless extensions have a directory of that name
// (net/core/net-sysfs.c).
func isRadio(dir string) bool {
	if _, err := os.Stat(dir + "/phy80211"); err == nil {
		return true
	}
	if _, err := os.Stat(dir + "/wireless"); err == nil {
		return true
	}
	text, err := sysfs.ReadFile(dir + "/uevent")
	return err == nil && strings.Contains("\n"+text, "\nDEVTYPE=wlan\n")
}

// isManaged tells whether another network manager has the link. Both leave a
// small file for each link that they know: networkd's says how far it is
// (networkctl(1), ADMIN_STATE), NetworkManager's whether it manages it.
func (t *table) isManaged(index int) bool {
	n := strconv.Itoa(index)
	if text, err := sysfs.ReadFile(t.run + "/systemd/netif/links/" + n); err == nil {
		switch value(text, "ADMIN_STATE") {
		case "", "unmanaged", "pending", "initialized", "linger": // not its own, or not yet
		default:
			return true
		}
	}
	text, err := sysfs.ReadFile(t.run + "/NetworkManager/devices/" + n)
	return err == nil && value(text, "managed") == "true"
}

func value(text, key string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
