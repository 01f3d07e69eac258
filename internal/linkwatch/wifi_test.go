package linkwatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// family is nl80211's number in these tests.
const family = 28

// cfg80211 is the kernel's side of nl80211, behind a genetlink.Conn.
type cfg80211 struct {
	loaded bool
	iftype uint32
	ssid   string
	old    bool // the network is in the list of access points alone
	errno  int  // what GET_INTERFACE answers, if not 0
	asked  int
	dialed int
}

func (k *cfg80211) dial() (*genetlink.Conn, error) {
	k.dialed++
	return genltest.Dial(k.reply), nil
}

func (k *cfg80211) reply(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
	switch {
	case n.Header.Type == unix.GENL_ID_CTRL && m.Header.Command == unix.CTRL_CMD_GETFAMILY && n.Header.Flags&netlink.Dump == netlink.Dump:
		out := []genetlink.Message{{Data: attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("nlctrl\x00")...)}}
		if k.loaded {
			groups := []byte{}
			for i, name := range []string{"config", "scan", "regulatory", "mlme"} {
				groups = append(groups, attr(uint16(i+1), slices.Concat(
					attr(unix.CTRL_ATTR_MCAST_GRP_ID, u32(uint32(30+i))...), attr(unix.CTRL_ATTR_MCAST_GRP_NAME, append([]byte(name), 0)...))...)...)
			}
			out = append(out, genetlink.Message{Data: slices.Concat(attr(unix.CTRL_ATTR_FAMILY_ID, family, 0),
				attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("nl80211\x00")...), attr(unix.CTRL_ATTR_MCAST_GROUPS, groups...))})
		}
		return out, nil
	case n.Header.Type == family && m.Header.Command == unix.NL80211_CMD_GET_INTERFACE:
		k.asked++
		if k.errno != 0 {
			return nil, genltest.Error(k.errno)
		}
		index, _, _ := decodeRadio(m.Data)
		ssid := k.ssid
		if k.old {
			ssid = ""
		}
		return []genetlink.Message{{Header: genetlink.Header{Command: unix.NL80211_CMD_NEW_INTERFACE}, Data: wdev(index, k.iftype, ssid)}}, nil
	case n.Header.Type == family && m.Header.Command == unix.NL80211_CMD_GET_SCAN && n.Header.Flags&netlink.Dump == netlink.Dump:
		out := []genetlink.Message{{Header: genetlink.Header{Command: unix.NL80211_CMD_NEW_SCAN_RESULTS}, Data: bss("neighbour", "neighbour", -1)}}
		if k.old && k.ssid != "" {
			out = append(out, genetlink.Message{Header: out[0].Header, Data: bss(k.ssid, "", unix.NL80211_BSS_STATUS_ASSOCIATED)})
		}
		return out, nil
	}
	return nil, fmt.Errorf("nobody asks %+v %+v", n, m)
}

// two are both sources without their sockets: what the followers do is done by
// hand, in any order.
type two struct {
	*testing.T
	kernel *cfg80211
	links  *table
	wifi   *wifi
	store  object.Store
	told   []string
	groups []uint32
	relist bool
}

func newTwo(t *testing.T, k *cfg80211) *two {
	x := &two{T: t, kernel: k}
	x.links = newTable(Config{Sys: sys(t, dongle), Proc: "/nonexistent", Run: "/nonexistent"})
	x.links.desk = newDesk()
	x.wifi = newWifi(x.links.desk)
	x.links.desk.wakeWifi = func() {}
	x.wifi.dial = k.dial
	x.wifi.relist = func() { x.relist = true }
	x.wifi.join = func(group uint32) error { x.groups = append(x.groups, group); return nil }
	x.list()
	x.tell(true)
	return x
}

func (x *two) list() {
	x.Helper()
	x.relist = false
	if err := x.wifi.List(true); err != nil {
		x.Fatal(err)
	}
	x.wifi.Take(true)
}

// answer is what the follower of nl80211 does when its socket is empty.
func (x *two) answer() {
	x.Helper()
	if due := x.wifi.Due(); !due.IsZero() && !time.Now().Before(due) {
		x.wifi.Tick()
	}
	x.wifi.Take(false)
	if x.relist {
		x.list()
	}
}

// tell is what that of rtnetlink does.
func (x *two) tell(full bool) {
	if due := x.links.Due(); !due.IsZero() && !time.Now().Before(due) {
		x.links.Tick()
	}
	for _, b := range x.links.Take(full) {
		x.store.Apply(b)
		for _, o := range b.Put {
			line := ""
			for _, word := range []string{"iftype", "carrier", "running", "associated", "ssid"} {
				switch v, ok := o.Words[word]; {
				case !ok:
				case v == nil:
					line += word + "? "
				case v[0] == "false":
				case v[0] == "true":
					line += word + " "
				default:
					line += v[0] + " "
				}
			}
			x.told = append(x.told, strings.TrimSpace(line))
		}
	}
}

func (x *two) link(flags uint32, operstate, carrier byte, downs uint32) {
	x.links.Apply(datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, 4, flags, named("wlan0"),
		attr(unix.IFLA_OPERSTATE, operstate), attr(unix.IFLA_CARRIER, carrier), attr(unix.IFLA_CARRIER_DOWN_COUNT, u32(downs)...),
		attr(unix.IFLA_ADDRESS, 2, 0, 0, 0, 1, 0))))
}

func (x *two) event(command uint8) {
	x.wifi.Apply(generic(family, command, attr(unix.NL80211_ATTR_WIPHY, u32(1)...), attr(unix.NL80211_ATTR_IFINDEX, u32(4)...)))
}

// expect compares what was told since the last time.
func (x *two) expect(what string, want ...string) {
	x.Helper()
	if !slices.Equal(x.told, want) {
		x.Errorf("%s: told %q, want %q", what, x.told, want)
	}
	x.told = nil
}

// newfamily is the controller's message as the kernel sends it when cfg80211 is
// loaded (ctrl_fill_info).
func newfamily(command uint8) []byte {
	return generic(unix.GENL_ID_CTRL, command, attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("nl80211\x00")...),
		attr(unix.CTRL_ATTR_FAMILY_ID, family, 0), attr(unix.CTRL_ATTR_VERSION, u32(1)...))
}

// A radio's life as captured, with both sockets: every word of a link is of one
// moment.
func TestARadiosLifeIsToldWhole(t *testing.T) {
	k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION}
	x := newTwo(t, k)
	if !slices.Equal(x.groups, []uint32{30, 33}) {
		t.Errorf("joined %v", x.groups)
	}
	x.link(0x1002, 2, 1, 0)
	x.tell(false)
	x.expect("before nl80211 has answered")
	x.answer()
	x.tell(false)
	x.expect("plugged in", "station")
	x.link(0x1043, 0, 0, 1)
	x.tell(false)
	x.link(0x1003, 2, 0, 1)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("up", "station", "station")

	k.ssid = "office"
	x.link(0x11003, 5, 1, 1)
	x.tell(false)
	x.expect("associated, nl80211 was not asked yet")
	x.event(unix.NL80211_CMD_CONNECT)
	x.answer()
	x.tell(false)
	x.expect("associated", "station carrier associated office")
	x.link(0x11043, 6, 1, 1)
	x.tell(false)
	x.expect("the keys are there", "station carrier running associated office")
	if o := x.store.Get(object.LinkKey(4)); o.Cause != "rtnetlink newlink" {
		t.Errorf("cause %q", o.Cause)
	}

	asked := k.asked
	x.event(unix.NL80211_CMD_NOTIFY_CQM) // the signal is weak
	x.event(unix.NL80211_CMD_NEW_STATION)
	x.wifi.Apply(generic(family, unix.NL80211_CMD_CONNECT, attr(unix.NL80211_ATTR_IFINDEX, u32(9)...))) // not a link of ours
	x.answer()
	if k.asked != asked {
		t.Errorf("asked %d times for nothing", k.asked-asked)
	}
	k.ssid = "hall"
	x.event(unix.NL80211_CMD_ROAM)
	x.answer()
	x.tell(false)
	x.expect("another network", "station carrier running associated hall")
	if o := x.store.Get(object.LinkKey(4)); o.Cause != "nl80211 roam" {
		t.Errorf("cause %q", o.Cause)
	}

	k.ssid = ""
	x.event(unix.NL80211_CMD_DEAUTHENTICATE)
	x.event(unix.NL80211_CMD_DISCONNECT)
	x.answer()
	x.tell(false)
	x.expect("the access point died, rtnetlink is late", "station carrier running")
	x.link(0x1003, 2, 0, 2)
	x.tell(false)
	x.expect("rtnetlink has it, too", "station")

	k.iftype, k.ssid = unix.NL80211_IFTYPE_AP, "mine"
	x.event(unix.NL80211_CMD_SET_INTERFACE)
	x.answer()
	x.tell(false)
	x.expect("it becomes an access point", "ap")
	x.link(0x11043, 6, 1, 2)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("that is up", "ap carrier running mine")

	k.iftype, k.ssid = unix.NL80211_IFTYPE_STATION, "" // old kernels have no message of it
	x.link(0x1002, 2, 1, 3)
	x.tell(false)
	x.expect("set down", "ap")
	x.link(0x1003, 2, 0, 3)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("set up as a client again", "ap", "station")

	x.links.Apply(datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, 4, 0)))
	x.tell(false)
	asked = k.asked
	x.event(unix.NL80211_CMD_DEL_INTERFACE)
	x.answer()
	if x.store.Get(object.LinkKey(4)) != nil || k.asked != asked || len(x.links.desk.files) > 0 || len(x.links.awaited) > 0 {
		t.Errorf("it is gone, and not forgotten: %+v", x.links.desk.files)
	}
}

// The dongle: the kernel had no Wi-Fi before, and loads it because of the
// dongle. Its link is there before anybody read the news of nl80211.
func TestTheDriverComesWithTheDongle(t *testing.T) {
	k := &cfg80211{iftype: unix.NL80211_IFTYPE_STATION}
	x := newTwo(t, k)
	if x.wifi.family != 0 || len(x.groups) > 0 {
		t.Fatal("there is no nl80211 yet")
	}
	k.loaded = true
	x.link(0x1002, 2, 1, 0)
	x.tell(false)
	x.wifi.Apply(newfamily(unix.CTRL_CMD_NEWFAMILY))
	x.wifi.Take(false)
	x.tell(false)
	x.expect("nl80211 is not asked before it is found")
	x.answer()
	x.tell(false)
	x.expect("told once, with its type", "station")

	// Other families come and go, too.
	x.wifi.Apply(generic(unix.GENL_ID_CTRL, unix.CTRL_CMD_NEWFAMILY, attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("MAC80211_HWSIM\x00")...)))
	if x.relist {
		t.Error("a list for nothing")
	}
	k.loaded = false
	x.wifi.Apply(newfamily(unix.CTRL_CMD_DELFAMILY))
	x.answer()
	x.tell(false)
	x.expect("the driver was removed", "")
	x.link(0x11043, 6, 1, 1)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("a radio that nl80211 does not know", "carrier running")
}

// The captured life once more where the kernel names the network only in its list
// of access points.
func TestTheNetworkIsFoundInTheList(t *testing.T) {
	k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION, old: true}
	x := newTwo(t, k)
	x.link(0x1003, 2, 0, 1)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("up", "station")
	k.ssid = "office"
	x.link(0x11003, 5, 1, 1)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("associated", "station carrier associated office")
	k.ssid = ""
	x.event(unix.NL80211_CMD_DISCONNECT)
	x.answer()
	x.tell(false)
	x.expect("the access point died", "station carrier")
}

// A list makes up for what an overflow took, and what was told stays told until
// it is renewed.
func TestWifiListsAfterALoss(t *testing.T) {
	k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION, ssid: "office"}
	x := newTwo(t, k)
	x.link(0x11043, 6, 1, 1)
	x.tell(false)
	x.answer()
	x.tell(false)
	x.expect("first", "station carrier running associated office")
	k.ssid = "hall" // and the message of it is lost
	x.list()
	x.tell(false)
	x.expect("after the list", "station carrier running associated hall")

	// A full list of links comes while another answer is awaited.
	k.ssid = "roof"
	x.link(0x11043, 6, 1, 2)
	x.tell(true)
	x.expect("as it was told", "station carrier running associated hall")
	x.answer()
	x.tell(false)
	x.expect("renewed", "station carrier running associated roof")
}

func TestADriverThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION, errno: int(unix.EBUSY)}
		x := newTwo(t, k)
		x.link(0x1002, 2, 1, 0)
		began := time.Now()
		x.tell(false)
		x.expect("at first")
		x.answer()
		time.Sleep(time.Until(x.links.Due()))
		x.tell(false)
		x.expect("unknown is not absent", "iftype? associated? ssid?")
		if d := time.Since(began); d != radioPatience {
			t.Errorf("held back for %v", d)
		}
		if !x.links.Due().IsZero() {
			t.Error("still waits")
		}
		time.Sleep(time.Until(x.wifi.Due()))
		k.errno = 0
		x.answer()
		x.answer()
		x.tell(false)
		x.expect("it is asked again", "station")
		if !x.wifi.Due().IsZero() || k.asked != 2 || k.dialed != 2 {
			t.Errorf("asked %d times, dialed %d times", k.asked, k.dialed)
		}

		// Nor later, when the carrier comes.
		k.errno = int(unix.EBUSY)
		x.link(0x11043, 6, 1, 1)
		x.tell(false)
		x.answer()
		x.expect("held back")
		time.Sleep(time.Until(x.links.Due()))
		x.tell(false)
		x.expect("the type is known", "station carrier running associated? ssid?")
		x.link(0x1003, 2, 0, 2)
		x.tell(false)
		x.expect("without carrier there is nothing to ask", "station")
	})
}

// Some drivers set the carrier before cfg80211 knows the network; and there may
// be one whose name nobody tells.
func TestACarrierWithoutANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION}
		x := newTwo(t, k)
		x.link(0x1003, 2, 0, 1)
		x.tell(false)
		x.answer()
		x.tell(false)
		x.expect("first", "station")
		x.link(0x11043, 6, 1, 1)
		x.tell(false)
		x.answer()
		x.tell(false)
		x.expect("it may come in a moment")
		k.ssid = "office"
		x.event(unix.NL80211_CMD_CONNECT)
		x.answer()
		x.tell(false)
		x.expect("it came", "station carrier running associated office")

		k.ssid = ""
		x.link(0x11043, 6, 1, 2)
		x.tell(false)
		x.answer()
		x.tell(false)
		x.expect("held back")
		time.Sleep(time.Until(x.links.Due()))
		x.tell(false)
		x.expect("it never comes", "station carrier running associated")
	})
}

func TestARadioThatNl80211DoesNotKnow(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENODEV, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM} {
		k := &cfg80211{loaded: true, errno: int(errno)}
		x := newTwo(t, k)
		x.link(0x11043, 6, 1, 1)
		x.tell(false)
		x.answer()
		x.tell(false)
		x.expect(errno.Error(), "carrier running")
	}
}
