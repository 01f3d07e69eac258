package linkwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var errFormat = errors.New("linkwatch: malformed message")

// message is one netlink message in a datagram.
type message struct {
	kind uint16
	body []byte
}

// messages splits a datagram (netlink(7), NLMSG_NEXT).
func messages(b []byte) ([]message, error) {
	var out []message
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return out, errFormat
		}
		out = append(out, message{binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:n]})
		b = b[min(len(b), align(n)):]
	}
	if len(out) == 0 || len(b) > 0 {
		return out, errFormat
	}
	return out, nil
}

// typeMask leaves out NLA_F_NESTED and NLA_F_NET_BYTEORDER (netlink(7)).
const typeMask = 0x3fff

func align(n int) int { return (n + 3) &^ 3 }

// attributes walks a list of attributes (rtnetlink(7)); the types come without
// their flag bits. It tells whether the list is well formed.
func attributes(b []byte, each func(kind uint16, value []byte)) bool {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return false
		}
		each(binary.NativeEndian.Uint16(b[2:])&typeMask, b[unix.SizeofRtAttr:n])
		b = b[min(len(b), align(n)):]
	}
	return true
}

// facts is what one full link message says.
type facts struct {
	index     int
	family    uint8
	flags     uint32
	name      string
	altnames  []string
	kind      string
	class     string // of hardware: ether, loopback, ppp, none
	mac       string
	permaddr  string
	mtu       int
	master    int // ifindex, 0: none
	operstate uint8
	carrier   bool
	downs     uint32 // carrier losses since the link was made
	elsewhere bool   // its other end, or what it stands on, is in another network namespace
	parent    bool   // there is a device beneath
	partial   bool   // a wireless extension's message, which says nothing of all this
}

// ifinfomsg is struct ifinfomsg (rtnetlink(7)).
const ifinfomsg = 16

// decodeLink reads the body of an RTM_NEWLINK or RTM_DELLINK.
func decodeLink(kind uint16, body []byte) (f facts, err error) {
	if len(body) < ifinfomsg {
		return f, errFormat
	}
	f.family = body[0]
	f.index = int(int32(binary.NativeEndian.Uint32(body[4:])))
	f.flags = binary.NativeEndian.Uint32(body[8:])
	if f.index <= 0 {
		return f, errFormat
	}
	if f.family != unix.AF_UNSPEC {
		return f, nil // of a bridge port (AF_BRIDGE), not of the link itself
	}
	carrier, known := false, false
	ok := attributes(body[ifinfomsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.IFLA_WIRELESS:
			f.partial = true
		case unix.IFLA_CARRIER:
			if len(v) >= 1 {
				carrier, known = v[0] != 0, true
			}
		case unix.IFLA_CARRIER_DOWN_COUNT:
			if len(v) >= 4 {
				f.downs = binary.NativeEndian.Uint32(v)
			}
		case unix.IFLA_LINK_NETNSID:
			f.elsewhere = true
		case unix.IFLA_PARENT_DEV_NAME:
			f.parent = true
		case unix.IFLA_LINKINFO:
			attributes(v, func(kind uint16, v []byte) {
				if kind == unix.IFLA_INFO_KIND {
					f.kind = text(v)
				}
			})
		case unix.IFLA_PROP_LIST:
			attributes(v, func(kind uint16, v []byte) {
				if kind == unix.IFLA_ALT_IFNAME {
					f.altnames = append(f.altnames, text(v))
				}
			})
		}
	})
	if !ok {
		return f, errFormat
	}
	if f.partial || kind == unix.RTM_DELLINK {
		return f, nil
	}
	if err := f.deserialize(kind, body); err != nil {
		return f, err
	}
	if f.name == "" {
		f.partial = true
		return f, nil
	}
	if !known { // before Linux 3.9
		carrier = f.flags&unix.IFF_LOWER_UP != 0
	}
	// Drivers leave the carrier on while the link is down.
	f.carrier = carrier && f.flags&unix.IFF_UP != 0
	return f, nil
}

// deserialize reads what vishvananda/netlink knows. It panics on malformed
// attributes, and what it returns holds on to the body.
func (f *facts) deserialize(kind uint16, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("linkwatch: decoder: %v", r)
		}
	}()
	link, err := netlink.LinkDeserialize(&unix.NlMsghdr{Type: kind}, body)
	if err != nil {
		return fmt.Errorf("linkwatch: decoder: %w", err)
	}
	a := link.Attrs()
	f.name = a.Name
	f.class = a.EncapType
	f.mac = a.HardwareAddr.String()
	f.permaddr = a.PermHWAddr.String()
	f.mtu = a.MTU
	f.master = a.MasterIndex
	f.operstate = uint8(a.OperState)
	return nil
}

func text(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}

// address is one IP address of a link. The kernel tells two addresses apart by
// all three (struct in_ifaddr, struct inet6_ifaddr).
type address struct {
	ip   netip.Addr
	bits uint8
	peer netip.Addr
}

// ifaddrmsg is struct ifaddrmsg (rtnetlink(7)).
const ifaddrmsg = 8

// decodeAddress reads the body of an RTM_NEWADDR or RTM_DELADDR.
func decodeAddress(body []byte) (index int, a address, flags uint32, err error) {
	if len(body) < ifaddrmsg || body[0] != unix.AF_INET && body[0] != unix.AF_INET6 {
		return 0, a, 0, errFormat
	}
	a.bits = body[1]
	flags = uint32(body[2])
	index = int(int32(binary.NativeEndian.Uint32(body[4:])))
	var local, far netip.Addr
	ok := attributes(body[ifaddrmsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			far, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS: // the flags that do not fit into the head
			if len(v) >= 4 {
				flags = binary.NativeEndian.Uint32(v)
			}
		}
	})
	// IPv6 has its own address in IFA_ADDRESS unless there is a peer.
	a.ip = local
	if !local.IsValid() {
		a.ip = far
	} else if far != local {
		a.peer = far
	}
	if !ok || !a.ip.IsValid() || int(a.bits) > a.ip.BitLen() || index <= 0 {
		return 0, a, 0, errFormat
	}
	return index, a, flags, nil
}
