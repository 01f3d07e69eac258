package linkwatch

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

func datagram(kind uint16, body []byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(b, uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	return append(b, body...)
}

func ifinfo(family uint8, index int, flags uint32, attrs ...[]byte) []byte {
	b := make([]byte, ifinfomsg)
	b[0] = family
	binary.NativeEndian.PutUint16(b[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	return append(b, slices.Concat(attrs...)...)
}

func attr(kind uint16, value ...byte) []byte {
	b := make([]byte, 4, 8+len(value))
	binary.NativeEndian.PutUint16(b, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func named(s string) []byte { return attr(unix.IFLA_IFNAME, append([]byte(s), 0)...) }

// wlan is a radio's message as it was captured: flags, operstate and carrier.
func wlan(flags uint32, operstate, carrier byte) []byte {
	return datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, flags, named("wlan0"),
		attr(unix.IFLA_OPERSTATE, operstate), attr(unix.IFLA_CARRIER, carrier),
		attr(unix.IFLA_CARRIER_DOWN_COUNT, u32(1)...), attr(unix.IFLA_ADDRESS, 2, 0, 0, 0, 1, 0),
		attr(unix.IFLA_PARENT_DEV_NAME, []byte("hwsim1\x00")...)))
}

// A radio's life as captured: CARRIER=1 before it is up, IFF_RUNNING that lies
// at the first bring-up, association, the end of the handshake.
func TestARadiosLife(t *testing.T) {
	table := newTable(Config{Sys: "/nonexistent", Proc: "/nonexistent", Run: "/nonexistent"})
	store := &object.Store{}
	for _, step := range []struct {
		what                                string
		flags                               uint32
		operstate, carrier                  byte
		wantUp, wantCarrier, wantRun, wantD string
	}{
		{"added", 0x1002, 2, 1, "false", "false", "false", "false"},
		{"first up", 0x1043, 0, 0, "true", "false", "false", "false"},
		{"2 ms later", 0x1003, 2, 0, "true", "false", "false", "false"},
		{"associated", 0x11003, 5, 1, "true", "true", "false", "true"},
		{"handshake done", 0x11043, 6, 1, "true", "true", "true", "false"},
		{"access point gone", 0x1003, 2, 0, "true", "false", "false", "false"},
	} {
		if !table.Apply(wlan(step.flags, step.operstate, step.carrier)) {
			t.Fatalf("%s: refused", step.what)
		}
		for _, b := range table.Take(false) {
			store.Apply(b)
		}
		w := store.Get(object.LinkKey(4)).Words
		got := []string{w.Get("up"), w.Get("carrier"), w.Get("running"), w.Get("dormant"), w.Get("physical")}
		if want := []string{step.wantUp, step.wantCarrier, step.wantRun, step.wantD, "true"}; !slices.Equal(got, want) {
			t.Errorf("%s: up, carrier, running, dormant, physical = %q, want %q", step.what, got, want)
		}
	}
}

// Messages after which nothing may have changed.
func TestMessagesThatChangeNothing(t *testing.T) {
	table := newTable(Config{Sys: "/nonexistent", Proc: "/nonexistent", Run: "/nonexistent"})
	table.Apply(wlan(0x11043, 6, 1))
	table.Take(false)
	for name, msg := range map[string][]byte{
		"a wireless extension's":   datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0x1003, attr(unix.IFLA_WIRELESS, 1, 2, 3, 4))),
		"without a name":           datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0x1003)),
		"of a bridge port":         datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_BRIDGE, 4, 0x1003, named("wlan0"))),
		"left a bridge":            datagram(unix.RTM_DELLINK, ifinfo(unix.AF_BRIDGE, 4, 0x1003, named("wlan0"))),
		"told again":               wlan(0x11043, 6, 1),
		"another's end":            datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, 5, 0)),
		"an address of no link":    datagram(unix.RTM_NEWADDR, ifaddr(unix.AF_INET, 24, 0, 9, attr(unix.IFA_LOCAL, 192, 0, 2, 7))),
		"of a kind we do not know": datagram(999, nil),
	} {
		if !table.Apply(msg) {
			t.Errorf("%s: refused", name)
		}
		if got := table.Take(false); got != nil {
			t.Errorf("%s: told %+v", name, got)
		}
	}
}

func ifaddr(family, bits, flags uint8, index int, attrs ...[]byte) []byte {
	b := append([]byte{family, bits, flags, 0}, u32(uint32(index))...)
	return append(b, slices.Concat(attrs...)...)
}

func TestDecodeAddress(t *testing.T) {
	ip := netip.MustParseAddr
	six := ip("2001:db8::7").AsSlice()
	for _, c := range []struct {
		name string
		body []byte
		want address
		flag uint32
	}{
		{"IPv4", ifaddr(unix.AF_INET, 24, 0x80, 3, attr(unix.IFA_ADDRESS, 192, 0, 2, 7), attr(unix.IFA_LOCAL, 192, 0, 2, 7)),
			address{ip: ip("192.0.2.7"), bits: 24}, 0x80},
		{"IPv4 with a peer", ifaddr(unix.AF_INET, 32, 0, 3, attr(unix.IFA_ADDRESS, 192, 0, 2, 8), attr(unix.IFA_LOCAL, 192, 0, 2, 7)),
			address{ip: ip("192.0.2.7"), bits: 32, peer: ip("192.0.2.8")}, 0},
		{"IPv6", ifaddr(unix.AF_INET6, 64, 0, 3, attr(unix.IFA_ADDRESS, six...), attr(unix.IFA_FLAGS, u32(0x340)...)),
			address{ip: ip("2001:db8::7"), bits: 64}, 0x340},
	} {
		index, got, flags, err := decodeAddress(c.body)
		if err != nil || index != 3 || got != c.want || flags != c.flag {
			t.Errorf("%s: %d %+v %x %v", c.name, index, got, flags, err)
		}
	}
	for name, body := range map[string][]byte{
		"nothing": nil, "short": make([]byte, 7), "no address": ifaddr(unix.AF_INET, 24, 0, 3),
		"of no family": ifaddr(99, 24, 0, 3, attr(unix.IFA_LOCAL, 1, 2, 3, 4)),
		"too long":     ifaddr(unix.AF_INET, 33, 0, 3, attr(unix.IFA_LOCAL, 1, 2, 3, 4)),
		"of no link":   ifaddr(unix.AF_INET, 24, 0, 0, attr(unix.IFA_LOCAL, 1, 2, 3, 4)),
		"odd bytes":    ifaddr(unix.AF_INET, 24, 0, 3, attr(unix.IFA_LOCAL, 1, 2, 3)),
	} {
		if _, a, _, err := decodeAddress(body); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestMalformedIsRefused(t *testing.T) {
	table := newTable(Config{Sys: "/nonexistent", Proc: "/nonexistent", Run: "/nonexistent"})
	good := wlan(0x11043, 6, 1)
	for name, msg := range map[string][]byte{
		"nothing": nil, "one byte": {1}, "half a head": good[:12], "cut": good[:len(good)-3],
		"length 0":         make([]byte, 16),
		"short body":       datagram(unix.RTM_NEWLINK, make([]byte, 15)),
		"ifindex 0":        datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 0, 0, named("x"))),
		"empty name":       datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0, attr(unix.IFLA_IFNAME))),
		"empty operstate":  datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0, named("x"), attr(unix.IFLA_OPERSTATE))),
		"endless attr":     datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0, []byte{0, 0, 3, 0})),
		"attr beyond end":  datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, 0, []byte{200, 0, 3, 0})),
		"short address":    datagram(unix.RTM_NEWADDR, []byte{2, 24}),
		"short route":      datagram(unix.RTM_NEWROUTE, []byte{2}),
		"64 KiB of ones":   slices.Repeat([]byte{1}, 64<<10),
		"64 KiB of zeroes": make([]byte, 64<<10),
	} {
		if table.Apply(msg) {
			t.Errorf("%s: believed", name)
		}
	}
	if len(table.links) != 0 {
		t.Errorf("links %v", table.links)
	}
}

// FuzzApply: whatever comes, no panic, and the engine knows what the table has.
func FuzzApply(f *testing.F) {
	f.Add(wlan(0x11043, 6, 1))
	f.Add(slices.Concat(wlan(0x1002, 2, 1), datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, 4, 0))))
	f.Add(datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 5, 1, named("va"),
		attr(unix.IFLA_LINKINFO, attr(unix.IFLA_INFO_KIND, []byte("veth\x00")...)...), attr(unix.IFLA_MASTER, u32(4)...),
		attr(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, attr(unix.IFLA_ALT_IFNAME, []byte("other\x00")...)...))))
	f.Add(slices.Concat(wlan(0x1003, 2, 1), datagram(unix.RTM_NEWADDR, ifaddr(unix.AF_INET, 24, 0, 4, attr(unix.IFA_LOCAL, 192, 0, 2, 7)))))
	f.Fuzz(func(t *testing.T, msg []byte) {
		table := newTable(Config{Sys: "/nonexistent", Proc: "/nonexistent", Run: "/nonexistent"})
		store := &object.Store{}
		table.Apply(msg)
		for _, b := range table.Take(false) {
			store.Apply(b)
		}
		if store.Len() != len(table.links) {
			t.Errorf("%d links told of %d", store.Len(), len(table.links))
		}
		for index := range table.links {
			if o := store.Get(object.LinkKey(index)); o == nil || o.Words.Get("name") == "" {
				t.Errorf("link %d: %+v", index, o)
			}
		}
	})
}
