package linkwatch

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// wdev is the attributes of a radio's NEW_INTERFACE, in the order in which
// nl80211_send_iface (net/wireless/nl80211.c) puts them.
func wdev(index int, iftype uint32, ssid string) []byte {
	attrs := [][]byte{
		attr(unix.NL80211_ATTR_IFINDEX, u32(uint32(index))...),
		attr(unix.NL80211_ATTR_IFNAME, []byte("wlan0\x00")...),
		attr(unix.NL80211_ATTR_WIPHY, u32(1)...),
		attr(unix.NL80211_ATTR_IFTYPE, u32(iftype)...),
		attr(unix.NL80211_ATTR_WDEV, 1, 0, 0, 0, 1, 0, 0, 0),
		attr(unix.NL80211_ATTR_MAC, 2, 0, 0, 0, 1, 0),
		attr(unix.NL80211_ATTR_GENERATION, u32(5)...),
		attr(unix.NL80211_ATTR_4ADDR, 0),
	}
	if ssid != "" {
		attrs = append(attrs, attr(unix.NL80211_ATTR_SSID, []byte(ssid)...))
	}
	return slices.Concat(attrs...)
}

// bss is an access point as nl80211_send_bss puts it: its name as answers to
// probes have it, and as beacons do. A negative status is none.
func bss(ssid, beacon string, status int) []byte {
	elements := func(ssid string) []byte {
		return slices.Concat([]byte{0, byte(len(ssid))}, []byte(ssid), []byte{1, 4, 0x82, 0x84, 0x8b, 0x96, 3, 1, 1})
	}
	in := slices.Concat(attr(unix.NL80211_BSS_BSSID, 2, 0, 0, 0, 0, 0), attr(unix.NL80211_BSS_FREQUENCY, u32(2412)...),
		attr(unix.NL80211_BSS_BEACON_IES, elements(beacon)...), attr(unix.NL80211_BSS_INFORMATION_ELEMENTS, elements(ssid)...))
	if status >= 0 {
		in = append(in, attr(unix.NL80211_BSS_STATUS, u32(uint32(status))...)...)
	}
	return slices.Concat(attr(unix.NL80211_ATTR_GENERATION, u32(5)...), attr(unix.NL80211_ATTR_IFINDEX, u32(4)...), attr(unix.NL80211_ATTR_BSS, in...))
}

func TestDecodeBSS(t *testing.T) {
	whole := bss("office", "office", unix.NL80211_BSS_STATUS_ASSOCIATED)
	for what, c := range map[string]struct {
		attrs []byte
		ssid  string
		ours  bool
		ok    bool
	}{
		"ours":          {whole, "office", true, true},
		"another":       {bss("hall", "hall", -1), "hall", false, true},
		"authenticated": {bss("hall", "hall", unix.NL80211_BSS_STATUS_AUTHENTICATED), "hall", false, true},
		"hidden":        {bss("office", "\x00\x00\x00\x00\x00\x00", unix.NL80211_BSS_STATUS_ASSOCIATED), "office", true, true},
		"hidden well":   {bss("", "", unix.NL80211_BSS_STATUS_ASSOCIATED), "", true, true},
		"no elements":   {attr(unix.NL80211_ATTR_BSS, attr(unix.NL80211_BSS_INFORMATION_ELEMENTS)...), "", false, true},
		"short element": {attr(unix.NL80211_ATTR_BSS, attr(unix.NL80211_BSS_INFORMATION_ELEMENTS, 0, 9, 'x')...), "", false, true},
		"nothing":       {nil, "", false, true},
		"cut off":       {whole[:len(whole)-1], "", false, false},
		"cut inside":    {attr(unix.NL80211_ATTR_BSS, 9, 0, 9, 0), "", false, false},
	} {
		if ssid, ours, ok := decodeBSS(c.attrs); ssid != c.ssid || ours != c.ours || ok != c.ok {
			t.Errorf("%s: %q %v %v, want %q %v %v", what, ssid, ours, ok, c.ssid, c.ours, c.ok)
		}
	}
}

func generic(kind uint16, command uint8, attrs ...[]byte) []byte {
	return datagram(kind, append([]byte{command, 1, 0, 0}, slices.Concat(attrs...)...))
}

func TestDecodeRadio(t *testing.T) {
	whole := wdev(4, unix.NL80211_IFTYPE_STATION, "office")
	for what, c := range map[string]struct {
		attrs []byte
		index int
		want  radio
		ok    bool
	}{
		"station":       {wdev(4, unix.NL80211_IFTYPE_STATION, ""), 4, radio{true, "station", ""}, true},
		"in a network":  {wdev(4, unix.NL80211_IFTYPE_STATION, "office"), 4, radio{true, "station", "office"}, true},
		"access point":  {wdev(7, unix.NL80211_IFTYPE_AP, "hall"), 7, radio{true, "ap", "hall"}, true},
		"a type to be":  {wdev(7, 99, ""), 7, radio{true, "99", ""}, true},
		"no type":       {wdev(7, 0, ""), 7, radio{there: true}, true},
		"p2p device":    {attr(unix.NL80211_ATTR_WDEV, 1, 0, 0, 0, 1, 0, 0, 0), 0, radio{there: true}, true},
		"nothing":       {nil, 0, radio{there: true}, true},
		"short numbers": {slices.Concat(attr(unix.NL80211_ATTR_IFINDEX, 4), attr(unix.NL80211_ATTR_IFTYPE, 2, 0)), 0, radio{there: true}, true},
		"negative":      {attr(unix.NL80211_ATTR_IFINDEX, 255, 255, 255, 255), -1, radio{there: true}, false},
		"cut off":       {whole[:len(whole)-5], 4, radio{true, "station", ""}, false},
	} {
		index, r, ok := decodeRadio(c.attrs)
		if index != c.index || r != c.want || ok != c.ok {
			t.Errorf("%s: %d %+v %v, want %d %+v %v", what, index, r, ok, c.index, c.want, c.ok)
		}
	}
}

func TestSSIDText(t *testing.T) {
	for ssid, want := range map[string]string{
		"":                        "",
		"\x00\x00\x00":            "", // hidden, with its length
		"home":                    "home",
		"My Home":                 "My Home",
		" x ":                     `\x20x\x20`,
		" ":                       `\x20`,
		"Café":                    "Café",
		"Caf\xe9":                 `Caf\xe9`, // Latin-1
		"無線":                      "無線",
		"無線\xe7":                  `無線\xe7`, // cut at 32 bytes by whoever set it
		`a\b`:                     `a\x5cb`,
		"a\x00b":                  `a\x00b`,
		"a\n\x1b[31m":             `a\x0a\x1b[31m`,
		"a\u202eb":                `a\xe2\x80\xaeb`, // turns the direction of writing
		"\ufffd":                  "\ufffd",
		strings.Repeat("\xff", 2): `\xff\xff`,
	} {
		if got := ssidText([]byte(ssid)); got != want {
			t.Errorf("%q: %q, want %q", ssid, got, want)
		}
	}
}

func FuzzRadio(f *testing.F) {
	f.Add(wdev(4, unix.NL80211_IFTYPE_STATION, "office"))
	f.Add(generic(unix.GENL_ID_CTRL, unix.CTRL_CMD_NEWFAMILY, attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("nl80211\x00")...)))
	f.Add(bss("office", "", 1))
	f.Add(generic(28, unix.NL80211_CMD_CONNECT, wdev(4, 2, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, r, _ := decodeRadio(b); !utf8.ValidString(r.ssid) || strings.ContainsFunc(r.ssid, func(c rune) bool { return c < ' ' }) {
			t.Errorf("ssid %q", r.ssid)
		}
		if ssid, _, _ := decodeBSS(b); !utf8.ValidString(ssid) {
			t.Errorf("ssid %q", ssid)
		}
		d := newDesk()
		d.ask(4)
		w := newWifi(d)
		w.family = 28
		w.relist = func() {}
		w.Apply(b)
	})
}

// What cannot be read in two ways: two SSIDs never give one word.
func FuzzSSIDText(f *testing.F) {
	f.Add([]byte("a\\b"), []byte(`a\x5cb`))
	f.Add([]byte(" "), []byte(`\x20`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if x, y := ssidText(a), ssidText(b); x == y && x != "" && string(a) != string(b) {
			t.Errorf("%q and %q are both %q", a, b, x)
		}
	})
}
