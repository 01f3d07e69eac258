package linkwatch

import (
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// link is one link that exists now.
type link struct {
	facts
	beneath  object.Words // of the device beneath, and ATTR{…}
	device   bool         // /sys shows a device beneath
	wireless bool
	read     bool // /sys was read for it
	named    bool // udevd is done with it, or not waited for
	whole    bool // it was told
	managed  bool // by NetworkManager or networkd
	addrs    []address
	gateways [2][]string // of default routes, IPv4 and IPv6
	air      air

	words object.Words // as last told
	flaps uint32
	cause string
	dirty bool // in the list of those to look at again
	held  bool // it changed, and is told as it was until nl80211 has answered
}

// The names of IF_OPER_… as /sys/class/net/*/operstate has them
// (Documentation/ABI/testing/sysfs-class-net, RFC 2863).
var operstates = []string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}

const (
	operUnknown = 0
	operDormant = 5
	operUp      = 6
)

// The names of IFF_… as ip link shows them, by bit (netdevice(7),
// include/uapi/linux/if.h).
var flagNames = []string{
	"UP", "BROADCAST", "DEBUG", "LOOPBACK", "POINTOPOINT", "NOTRAILERS", "RUNNING", "NOARP", "PROMISC", "ALLMULTI",
	"MASTER", "SLAVE", "MULTICAST", "PORTSEL", "AUTOMEDIA", "DYNAMIC", "LOWER_UP", "DORMANT", "ECHO",
}

// compose makes all words of a link, without asking the system anything.
func (t *table) compose(l *link) object.Words {
	w := make(object.Words, 20+len(l.beneath))
	maps.Copy(w, l.beneath)
	one := func(word, value string) {
		if value != "" {
			w[word] = t.texts.One(value)
		}
	}
	is := func(word string, yes bool) { w[word] = t.texts.One(strconv.FormatBool(yes)) }

	one("name", l.name)
	one("index", strconv.Itoa(l.index))
	if len(l.altnames) > 0 {
		w["altname"] = l.altnames
	}
	one("kind", l.kind)
	one("type", l.class)
	one("mac", l.mac)
	one("permaddr", l.permaddr)
	one("mtu", strconv.Itoa(l.mtu))
	one("master", t.masterName(l.master))
	w["flags"] = t.flagWords(l.flags)
	is("physical", t.physical(l))
	is("up", l.flags&unix.IFF_UP != 0)
	is("carrier", l.carrier)
	is("running", l.carrier && (l.operstate == operUp || l.operstate == operUnknown))
	is("dormant", l.operstate == operDormant)
	if int(l.operstate) < len(operstates) {
		one("operstate", operstates[l.operstate])
	}
	global := t.addressWords(w, l)
	is("foreign", global || l.managed)
	if t.routes {
		for i, word := range [2]string{"default4", "default6"} {
			if len(l.gateways[i]) > 0 {
				w[word] = l.gateways[i]
			}
		}
	}
	t.foldWireless(w, l)
	return w
}

// physical tells whether the link is a cable or a radio of this machine. In a
// container that is the near end of its veth, whose far end is on the host; in
// the initial network namespace the same is the host's end of somebody's
// container, and no cable.
func (t *table) physical(l *link) bool {
	return l.parent || l.device || l.kind == "veth" && l.elsewhere && !t.initial
}

func (t *table) masterName(index int) string {
	if index == 0 {
		return ""
	}
	if m := t.links[index]; m != nil {
		return m.name
	}
	return "if" + strconv.Itoa(index) // as ip link shows what it cannot see
}

func (t *table) flagWords(flags uint32) []string {
	if words, known := t.flags[flags]; known {
		return words
	}
	words := make([]string, 0, 8)
	for bit, name := range flagNames {
		if flags&(1<<bit) != 0 {
			words = append(words, name)
		}
	}
	t.flags[flags] = words
	return words
}

// addressWords sorts the addresses into words, and tells whether any is
// global. It goes by prefix: the kernel's scope calls 169.254.9.9 global.
func (t *table) addressWords(w object.Words, l *link) (global bool) {
	for _, a := range l.addrs {
		word := "address6"
		switch {
		case a.ip.IsLoopback():
			continue
		case a.ip.Is4() && a.ip.IsLinkLocalUnicast():
			word = "linklocal4"
		case a.ip.IsLinkLocalUnicast():
			continue
		case a.ip.Is4():
			word, global = "address4", true
		default:
			global = true
		}
		w[word] = append(w[word], a.ip.String()+"/"+strconv.Itoa(int(a.bits)))
	}
	return global
}

// insert keeps the addresses in an order that a list and the events agree on.
func (l *link) insert(a address) bool {
	i, found := slices.BinarySearchFunc(l.addrs, a, compareAddress)
	if found {
		return false
	}
	l.addrs = slices.Insert(slices.Clip(l.addrs), i, a)
	return true
}

func (l *link) remove(a address) bool {
	i, found := slices.BinarySearchFunc(l.addrs, a, compareAddress)
	if found {
		l.addrs = slices.Delete(l.addrs, i, i+1)
	}
	return found
}

func compareAddress(a, b address) int {
	if c := a.ip.Compare(b.ip); c != 0 {
		return c
	}
	if c := int(a.bits) - int(b.bits); c != 0 {
		return c
	}
	return a.peer.Compare(b.peer)
}
