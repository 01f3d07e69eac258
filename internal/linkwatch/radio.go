package linkwatch

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// radio is what nl80211 says of a link. Its zero value is a link of which
// nl80211 knows nothing.
type radio struct {
	there  bool
	iftype string
	ssid   string // as a word: see ssidText
}

// client tells whether the link joins networks that others make, so that its
// carrier is its association: mac80211 sets the carrier of a station when it is
// associated (ieee80211_set_associated, net/mac80211/mlme.c), and drivers that
// associate by themselves do the same.
func (r *radio) client() bool { return r.iftype == "station" || r.iftype == "p2p-client" }

// iftypes are the names of NL80211_IFTYPE_…, by number, in the kernel's words
// (enum nl80211_iftype, include/uapi/linux/nl80211.h).
var iftypes = []string{
	"", "adhoc", "station", "ap", "ap-vlan", "wds", "monitor", "mesh", "p2p-client", "p2p-go", "p2p-device", "ocb", "nan", "nan-data",
}

// watched are the messages of the groups "mlme" and "config" after which a
// radio may have another type or network (enum nl80211_commands). Those of
// management frames, of the signal's strength and of an access point's clients
// come often and change neither.
var watched = map[uint8]string{
	unix.NL80211_CMD_SET_INTERFACE:  "set-interface",
	unix.NL80211_CMD_NEW_INTERFACE:  "new-interface",
	unix.NL80211_CMD_DEL_INTERFACE:  "del-interface",
	unix.NL80211_CMD_START_AP:       "start-ap",
	unix.NL80211_CMD_STOP_AP:        "stop-ap",
	unix.NL80211_CMD_DEAUTHENTICATE: "deauthenticate",
	unix.NL80211_CMD_DISASSOCIATE:   "disassociate",
	unix.NL80211_CMD_JOIN_IBSS:      "join-ibss",
	unix.NL80211_CMD_CONNECT:        "connect",
	unix.NL80211_CMD_ROAM:           "roam",
	unix.NL80211_CMD_DISCONNECT:     "disconnect",
}

// decodeGeneric splits the body of a generic netlink message: struct genlmsghdr
// (include/uapi/linux/genetlink.h), then attributes.
func decodeGeneric(body []byte) (command uint8, attrs []byte, ok bool) {
	if len(body) < unix.GENL_HDRLEN {
		return 0, nil, false
	}
	return body[0], body[unix.GENL_HDRLEN:], true
}

// decodeFamily reads the name from a message of the generic netlink controller.
func decodeFamily(attrs []byte) (name string, ok bool) {
	ok = attributes(attrs, func(kind uint16, v []byte) {
		if kind == unix.CTRL_ATTR_FAMILY_NAME {
			name = text(v)
		}
	})
	return name, ok
}

// decodeRadio reads the attributes of an NL80211_CMD_NEW_INTERFACE, and the
// ifindex of every other message that has one. A message about a radio without
// a link (a P2P device) has the index 0.
func decodeRadio(attrs []byte) (index int, r radio, ok bool) {
	r.there = true
	ok = attributes(attrs, func(kind uint16, v []byte) {
		switch {
		case kind == unix.NL80211_ATTR_IFINDEX && len(v) >= 4:
			index = int(int32(binary.NativeEndian.Uint32(v)))
		case kind == unix.NL80211_ATTR_IFTYPE && len(v) >= 4:
			r.iftype = iftypeName(binary.NativeEndian.Uint32(v))
		case kind == unix.NL80211_ATTR_SSID:
			r.ssid = ssidText(v)
		}
	})
	return index, r, ok && index >= 0
}

// decodeBSS reads the attributes of an NL80211_CMD_NEW_SCAN_RESULTS: one access
// point, and whether we are associated with it (enum nl80211_bss). A network that
// hides its name has it in its answers alone, not in its beacons.
func decodeBSS(attrs []byte) (ssid string, associated, ok bool) {
	inner := true
	ok = attributes(attrs, func(kind uint16, v []byte) {
		if kind != unix.NL80211_ATTR_BSS {
			return
		}
		inner = attributes(v, func(kind uint16, v []byte) {
			switch {
			case kind == unix.NL80211_BSS_STATUS && len(v) >= 4:
				associated = binary.NativeEndian.Uint32(v) == unix.NL80211_BSS_STATUS_ASSOCIATED
			case kind == unix.NL80211_BSS_INFORMATION_ELEMENTS, kind == unix.NL80211_BSS_BEACON_IES && ssid == "":
				ssid = ssidText(element(v, elementSSID))
			}
		})
	})
	return ssid, associated, ok && inner
}

// elementSSID is the id of the SSID element (IEEE 802.11, 9.4.2.2).
const elementSSID = 0

// element finds an information element: id, length, value (IEEE 802.11, 9.4.2.1).
func element(b []byte, id byte) []byte {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] == id {
			return b[2 : 2+int(b[1])]
		}
		b = b[2+int(b[1]):]
	}
	return nil
}

func iftypeName(n uint32) string {
	if n < uint32(len(iftypes)) {
		return iftypes[n]
	}
	return strconv.FormatUint(uint64(n), 10)
}

// ssidText makes a word of an SSID, which is up to 32 bytes of anything. What
// people can read stays; the rest is escaped as iw does (print_ssid_escaped):
// \xNN, also for a backslash and for a space in front or at the end. A network
// that hides its name sends none, or zeros: that is no name.
func ssidText(ssid []byte) string {
	if strings.Trim(string(ssid), "\x00") == "" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(ssid); {
		c, n := utf8.DecodeRune(ssid[i:])
		broken := c == utf8.RuneError && n == 1
		edge := c == ' ' && (i == 0 || i == len(ssid)-1)
		if broken || edge || c == '\\' || !unicode.IsPrint(c) {
			for _, x := range ssid[i : i+n] {
				fmt.Fprintf(&b, `\x%02x`, x)
			}
		} else {
			b.WriteRune(c)
		}
		i += n
	}
	return b.String()
}
