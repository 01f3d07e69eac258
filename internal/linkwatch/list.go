package linkwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// interrupts is how often a dump is made anew because the kernel said that
// things changed while it was under way (NLM_F_DUMP_INTR, netlink(7)).
const interrupts = 5

// skipStats leaves the counters out of link dumps, two thirds of their size
// (RTEXT_FILTER_SKIP_STATS, include/uapi/linux/rtnetlink.h).
const skipStats = 1 << 3

// List makes the table anew from dumps, which use sockets of their own.
//
// The dumps go through vishvananda/netlink's request type and not through its
// LinkList, which does not give IFLA_CARRIER_DOWN_COUNT; so what is listed and
// what is told are decoded by the same lines.
func (t *table) List(bool) error {
	before := t.links
	links, err := t.dump(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkRequest)
	if err != nil {
		return fmt.Errorf("dump links: %w", err)
	}
	addrs, err := t.dump(unix.RTM_GETADDR, unix.RTM_NEWADDR, addressRequest)
	if err != nil {
		return fmt.Errorf("dump addresses: %w", err)
	}
	t.tree.Attrs, t.routes = t.wanted()
	t.ours = t.tree.OfThisNetwork()
	t.links = make(map[int]*link, len(links))
	t.dirty, t.gone = t.dirty[:0], nil
	for _, body := range links {
		if !t.newLink(body, "list") {
			t.refuse()
		}
	}
	for _, body := range addrs {
		if !t.address(body, true) {
			t.refuse()
		}
	}
	for index, l := range t.links {
		l.cause = "list"
		if was := before[index]; was != nil {
			l.words, l.flaps, l.gateways, l.whole, l.named, l.air = was.words, was.flaps, was.gateways, was.whole, was.named, was.air
			if !l.read && was.name == l.name && was.mac == l.mac {
				l.beneath, l.device, l.wireless, l.read = was.beneath, was.device, was.wireless, was.read
			}
		}
	}
	for index := range before {
		if t.links[index] == nil {
			t.forget(index)
		}
	}
	t.stale = false
	if t.routes {
		return t.listRoutes()
	}
	return nil
}

func linkRequest(r *nl.NetlinkRequest) {
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
}

func addressRequest(r *nl.NetlinkRequest) { r.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC)) }

// dump asks the kernel for all of a kind.
func dump(get, reply uint16, ask func(*nl.NetlinkRequest)) (bodies [][]byte, err error) {
	for range interrupts {
		r := nl.NewNetlinkRequest(int(get), unix.NLM_F_DUMP)
		ask(r)
		bodies, err = r.Execute(unix.NETLINK_ROUTE, reply)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return bodies, err
}

// rtmsg is struct rtmsg (rtnetlink(7)).
const rtmsg = 12

// route looks whether a route message is about a default route of the main
// table. Which ones there are then is asked anew: a replaced route has no
// message of its own, and a link that goes down takes its routes silently.
func (t *table) route(body []byte) bool {
	if len(body) < rtmsg {
		return false
	}
	if !t.routes || body[1] != 0 {
		return true // not a default route: rtm_dst_len
	}
	id := uint32(body[4])
	ok := attributes(body[rtmsg:], func(kind uint16, v []byte) {
		if kind == unix.RTA_TABLE && len(v) >= 4 {
			id = binary.NativeEndian.Uint32(v)
		}
	})
	if ok && id == unix.RT_TABLE_MAIN {
		t.stale = true
	}
	return ok
}

// listRoutes finds the default routes of the main table. A route's value is
// its gateway, or "link" where the far end needs none (ppp).
func (t *table) listRoutes() error {
	var found map[int][2][]string
	for i, family := range [2]int{unix.AF_INET, unix.AF_INET6} {
		var err error
		for range interrupts {
			part := make(map[int][]string)
			err = netlink.RouteListFilteredIter(family, &netlink.Route{}, 0, func(r netlink.Route) bool {
				if r.Type == unix.RTN_UNICAST && isDefault(&r) {
					throughLinks(&r, part)
				}
				return true
			})
			if errors.Is(err, netlink.ErrDumpInterrupted) {
				continue
			}
			if err == nil {
				found = merge(found, i, part)
			}
			break
		}
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("dump routes: %w", err)
		}
	}
	for index, l := range t.links {
		if now := found[index]; !slices.Equal(now[0], l.gateways[0]) || !slices.Equal(now[1], l.gateways[1]) {
			l.gateways = now
			t.touch(index, "rtnetlink route")
		}
	}
	return nil
}

func isDefault(r *netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

func throughLinks(r *netlink.Route, found map[int][]string) {
	add := func(index int, gateway string) {
		if gateway == "" || gateway == "<nil>" {
			gateway = "link"
		}
		if index > 0 && !slices.Contains(found[index], gateway) {
			found[index] = append(found[index], gateway)
			slices.Sort(found[index])
		}
	}
	if len(r.MultiPath) == 0 {
		gateway := r.Gw.String()
		if r.Via != nil {
			gateway = r.Via.String()
		}
		add(r.LinkIndex, gateway)
	}
	for _, hop := range r.MultiPath {
		add(hop.LinkIndex, hop.Gw.String())
	}
}

func merge(found map[int][2][]string, i int, part map[int][]string) map[int][2][]string {
	if found == nil {
		found = make(map[int][2][]string)
	}
	for index, gateways := range part {
		both := found[index]
		both[i] = gateways
		found[index] = both
	}
	return found
}
