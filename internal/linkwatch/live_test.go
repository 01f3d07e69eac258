package linkwatch

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

func TestLiveCarrierFlap(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, veth("va", "vb"))
		up(t, "va")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		l := e.link("va")
		downs := l.Life.Flaps
		down(t, "vb")
		e.has(t, "va", "carrier", "false")
		e.has(t, "va", "operstate", "lowerlayerdown")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		if got := e.link("va").Life; got.Flaps != downs+1 || got.Incarnation != l.Life.Incarnation {
			t.Errorf("after one flap: %+v, before: %+v", got, l.Life)
		}
	})
}

func TestLiveWordsOfAVeth(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		v := veth("va", "vb")
		v.MTU = 1400
		add(t, v)
		e.has(t, "va", "name", "va")
		o := e.link("va")
		real, err := netlink.LinkByName("va")
		if err != nil {
			t.Fatal(err)
		}
		want := object.Words{
			"name": {"va"}, "index": {fmt.Sprint(real.Attrs().Index)}, "kind": {"veth"}, "type": {"ether"}, "mtu": {"1400"},
			"mac": {real.Attrs().HardwareAddr.String()}, "flags": {"BROADCAST", "MULTICAST"}, "operstate": {"down"},
			"physical": {"false"}, "wireless": {"false"}, "foreign": {"false"}, "up": {"false"}, "carrier": {"false"},
			"running": {"false"}, "dormant": {"false"},
		}
		if !o.Words.Equal(want) {
			t.Errorf("got  %v\nwant %v", o.Words, want)
		}
		if o.Cause != "rtnetlink newlink" || o.Life.Incarnation != uint64(real.Attrs().Index) {
			t.Errorf("%+v", o)
		}
		lo := e.link("lo")
		if lo.Cause != "list" || lo.Words.Get("type") != "loopback" || lo.Words["mac"] != nil || lo.Words.Get("physical") != "false" {
			t.Errorf("lo is %+v", lo)
		}
		up(t, "va") // of a link that is down, a new name is not told (netdev_state_change)
		e.has(t, "va", "up", "true")
		change(t, "va", func(l netlink.Link) error { return netlink.LinkAddAltName(l, "a-very-long-alternative-name") })
		e.has(t, "va", "altname", "a-very-long-alternative-name")
	})
}

// A tap has no carrier until somebody opens it, and can be dormant, as a radio
// is between association and the end of the handshake.
func TestLiveTapWithoutCarrierAndDormant(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		if _, err := os.Stat("/dev/net/tun"); err != nil {
			t.Skipf("no tun: %v", err)
		}
		_, e := start(t, Config{})
		la := netlink.NewLinkAttrs()
		la.Name = "tap0"
		tap := &netlink.Tuntap{LinkAttrs: la, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_ONE_QUEUE, Queues: 1, NonPersist: true}
		if err := netlink.LinkAdd(tap); err != nil {
			t.Skipf("no tap here: %v", err)
		}
		e.has(t, "tap0", "kind", "tun")
		carrier := func(on int) {
			t.Helper()
			if err := unix.IoctlSetPointerInt(int(tap.Fds[0].Fd()), unix.TUNSETCARRIER, on); err != nil {
				t.Fatal(err)
			}
		}
		// Carrier before up: it counts only with up.
		if got := e.link("tap0").Words; got.Get("carrier") != "false" || got.Get("physical") != "false" {
			t.Errorf("before up: %v", got)
		}
		up(t, "tap0")
		e.has(t, "tap0", "running", "true")
		if got := e.link("tap0").Words.Get("operstate"); got != "unknown" && got != "up" {
			t.Errorf("operstate %q", got)
		}
		carrier(0)
		e.has(t, "tap0", "carrier", "false")
		setMode(t, "tap0", 1) // IF_LINK_MODE_DORMANT
		carrier(1)
		e.has(t, "tap0", "dormant", "true")
		o := e.link("tap0").Words
		if o.Get("carrier") != "true" || o.Get("running") != "false" || o.Get("operstate") != "dormant" {
			t.Errorf("dormant: %v", o)
		}
		setOperstate(t, "tap0", operUp)
		e.has(t, "tap0", "running", "true")
		if err := tap.Fds[0].Close(); err != nil { // unplugged
			t.Fatal(err)
		}
		livetest.Until(t, "no tap", func() bool { return e.link("tap0") == nil })
	})
}

func TestLiveRenameKeepsTheKey(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, bridge("br0"))
		add(t, veth("va", "vb"))
		change(t, "va", func(l netlink.Link) error { return netlink.LinkSetMaster(l, bridge("br0")) })
		up(t, "va")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		e.has(t, "va", "master", "br0")
		before := e.link("va").Life
		change(t, "va", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan0") })
		e.has(t, "wan0", "running", "true")
		if got := e.link("wan0").Life; got != before {
			t.Errorf("life %+v, before %+v", got, before)
		}
		change(t, "br0", func(l netlink.Link) error { return netlink.LinkSetName(l, "lan") })
		e.has(t, "wan0", "master", "lan")
		if h := e.history(int(before.Incarnation), "name", "master"); slices.Contains(h, "gone") || !slices.Contains(h, "name=wan0 master=lan") {
			t.Errorf("history %q", h)
		}
		change(t, "lan", netlink.LinkDel)
		e.has(t, "wan0", "master", "")
		reaches(t, e)
	})
}

// eth0 joins and leaves a bridge: no link vanishes, no carrier is lost. Leaving
// sends a DELLINK of family AF_BRIDGE for a link that still exists.
func TestLiveBridgeJoinAndLeave(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, bridge("br0"))
		add(t, veth("va", "vb"))
		for _, name := range []string{"br0", "va", "vb"} {
			up(t, name)
		}
		e.has(t, "va", "running", "true")
		before := e.link("va").Life
		n := len(e.history(int(before.Incarnation), "up", "carrier", "running"))
		for range 3 {
			change(t, "va", func(l netlink.Link) error { return netlink.LinkSetMaster(l, bridge("br0")) })
			e.has(t, "va", "master", "br0")
			change(t, "va", netlink.LinkSetNoMaster)
			e.has(t, "va", "master", "")
		}
		reaches(t, e)
		h := e.history(int(before.Incarnation), "up", "carrier", "running")
		if len(h) != n || e.link("va").Life != before {
			t.Errorf("history %q, life %+v, before %+v", h, e.link("va").Life, before)
		}
	})
}

func TestLiveTwoHundredBridgesWithPorts(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		began := time.Now()
		for i := range 200 {
			br := bridge(fmt.Sprintf("br%d", i))
			add(t, br)
			v := veth(fmt.Sprintf("va%d", i), fmt.Sprintf("vb%d", i))
			v.MasterIndex = br.Index
			add(t, v)
		}
		made := time.Since(began)
		reaches(t, e)
		t.Logf("made in %v, known in %v, %+v", made, time.Since(began), e.now())
	})
}

func TestLiveAddresses(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		add(t, veth("va", "vb"))
		up(t, "va")
		addr(t, "va", "192.0.2.7/24", netlink.AddrAdd)
		e.has(t, "va", "address4", "192.0.2.7/24")
		if !slices.Equal(e.link("va").Words["foreign"], []string{"true"}) {
			t.Error("a global address, and not foreign")
		}
		addr(t, "va", "169.254.9.9/16", netlink.AddrAdd)
		addr(t, "va", "127.0.0.9/8", netlink.AddrAdd)
		e.has(t, "va", "linklocal4", "169.254.9.9/16")
		addr(t, "va", "2001:db8::1/64", netlink.AddrAdd)
		e.has(t, "va", "carrier", "false")
		if got := e.link("va").Words["address6"]; got != nil {
			t.Errorf("a tentative address counts: %v", got)
		}
		up(t, "vb") // duplicate detection begins, and ends a second later
		e.has(t, "va", "address6", "2001:db8::1/64")
		addr(t, "va", "192.0.2.7/24", netlink.AddrDel)
		e.has(t, "va", "address4", "")
		addr(t, "va", "2001:db8::1/64", netlink.AddrDel)
		e.has(t, "va", "foreign", "false")
		for _, line := range e.history(e.index(t, "va"), "address4", "address6", "linklocal4") {
			if strings.Contains(line, "127.") || strings.Contains(line, "fe80") {
				t.Errorf("told %s", line)
			}
		}
	})
}

func (e *engine) index(t *testing.T, name string) int {
	t.Helper()
	return int(e.link(name).Life.Incarnation)
}

func TestLiveDefaultRoutes(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		w, e := start(t, Config{})
		add(t, veth("va", "vb"))
		up(t, "va")
		up(t, "vb")
		addr(t, "va", "192.0.2.7/24", netlink.AddrAdd)
		e.has(t, "va", "address4", "192.0.2.7/24")
		i := e.index(t, "va")
		route := &netlink.Route{LinkIndex: i, Gw: []byte{192, 0, 2, 1}}
		if err := netlink.RouteAdd(route); err != nil {
			t.Fatal(err)
		}
		w.SetDefaultRoutes(true)
		e.has(t, "va", "default4", "192.0.2.1")
		if err := netlink.RouteDel(route); err != nil {
			t.Fatal(err)
		}
		e.has(t, "va", "default4", "")
		all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: i, Dst: all, Scope: netlink.SCOPE_LINK}); err != nil {
			t.Fatal(err)
		}
		e.has(t, "va", "default4", "link")
		// A replaced route has no message of its own.
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: e.index(t, "vb"), Dst: all, Scope: netlink.SCOPE_LINK}); err != nil {
			t.Fatal(err)
		}
		e.has(t, "va", "default4", "")
		e.has(t, "vb", "default4", "link")
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: i, Dst: all, Scope: netlink.SCOPE_LINK}); err != nil {
			t.Fatal(err)
		}
		e.has(t, "va", "default4", "link")
		down(t, "va") // the route goes without a message
		e.has(t, "va", "default4", "")
		w.SetDefaultRoutes(false)
		livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
	})
}

func TestLiveForeignManagers(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, d := range []string{"/systemd/netif/links", "/NetworkManager/devices"} {
			if err := os.MkdirAll(dir+d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		add(t, veth("va", "vb"))
		add(t, veth("vc", "vd"))
		index := func(name string) string {
			l, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(l.Attrs().Index)
		}
		for file, text := range map[string]string{
			"/systemd/netif/links/" + index("va"):    "# private\nADMIN_STATE=configured\nOPER_STATE=routable\n",
			"/systemd/netif/links/" + index("vb"):    "ADMIN_STATE=unmanaged\n",
			"/NetworkManager/devices/" + index("vc"): "[device]\nmanaged=true\n",
			"/NetworkManager/devices/" + index("vd"): "[device]\nmanaged=false\n",
		} {
			if err := os.WriteFile(dir+file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, e := start(t, Config{Run: dir})
		for name, want := range map[string]string{"va": "true", "vb": "false", "vc": "true", "vd": "false"} {
			if got := e.link(name).Words.Get("foreign"); got != want {
				t.Errorf("%s: foreign = %s, want %s", name, got, want)
			}
		}
	})
}

func TestLiveSetUp(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		w, e := start(t, Config{})
		add(t, veth("va", "vb"))
		e.has(t, "va", "up", "false")
		if err := w.SetUp(e.index(t, "va")); err != nil {
			t.Fatal(err)
		}
		e.has(t, "va", "up", "true")
		if err := w.SetUp(4242); err == nil || !strings.HasPrefix(err.Error(), "linkwatch: set up link 4242: ") {
			t.Errorf("of no link: %v", err)
		}
	})
}

func TestLiveHostileNames(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		for i, name := range []string{"-f", "$(id)", "{name}", "a@b=c", "\"';|&"} {
			add(t, veth(name, fmt.Sprintf("peer%d", i)))
			e.has(t, name, "kind", "veth")
		}
		reaches(t, e)
	})
}
