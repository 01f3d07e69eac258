package linkwatch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// A burst as it was caught, and the dump of the links after it. HOTSVC_CAPTURE=1
// catches them anew.
const dock, dockEnd = "testdata/dock.burst", "testdata/dock.end"

// kernel is what there is, by the messages that came true.
type kernel struct {
	t     *testing.T
	links map[int][]byte
	addrs map[int][]string // IPv4, by ifindex
	raw   map[string][]byte
}

func (k *kernel) happens(datagram []byte) {
	all, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, m := range all {
		index := int(binary.NativeEndian.Uint32(m.Data[4:]))
		switch m.Header.Type {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if m.Data[0] != unix.AF_UNSPEC {
				continue
			}
			delete(k.links, index)
			if m.Header.Type == unix.RTM_NEWLINK {
				k.links[index] = m.Data
			} else {
				delete(k.addrs, index)
				maps.DeleteFunc(k.raw, func(key string, _ []byte) bool { return key[:4] == string(m.Data[4:8]) })
			}
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			attrs, err := syscall.ParseNetlinkRouteAttr(&m)
			if err != nil {
				k.t.Fatal(err)
			}
			for _, a := range attrs {
				if a.Attr.Type != unix.IFA_LOCAL && (a.Attr.Type != unix.IFA_ADDRESS || m.Data[0] == unix.AF_INET) {
					continue
				}
				key := string(m.Data[4:8]) + string(a.Value)
				delete(k.raw, key)
				text := ""
				if m.Data[0] == unix.AF_INET {
					text = fmt.Sprintf("%d.%d.%d.%d/%d", a.Value[0], a.Value[1], a.Value[2], a.Value[3], m.Data[1])
					k.addrs[index] = slices.DeleteFunc(k.addrs[index], func(s string) bool { return s == text })
				}
				if m.Header.Type == unix.RTM_NEWADDR {
					k.raw[key] = m.Data
					if text != "" {
						k.addrs[index] = append(k.addrs[index], text)
					}
				}
			}
		}
	}
}

// dump answers as the kernel would.
func (k *kernel) dump(get, _ uint16, _ func(*nl.NetlinkRequest)) (bodies [][]byte, _ error) {
	if get == unix.RTM_GETADDR {
		return slices.Collect(maps.Values(k.raw)), nil
	}
	for _, index := range slices.Sorted(maps.Keys(k.links)) {
		bodies = append(bodies, k.links[index])
	}
	return bodies, nil
}

// attrsOf reads a link with the library's decoder, which is not ours.
func attrsOf(t *testing.T, body []byte) *netlink.LinkAttrs {
	l, err := netlink.LinkDeserialize(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs()
}

// differs says in what the engine's knowledge is not what there is.
func (k *kernel) differs(store *object.Store) string {
	if store.Len() != len(k.links) {
		return fmt.Sprintf("%d links are known of %d", store.Len(), len(k.links))
	}
	for index, body := range k.links {
		o := store.Get(object.LinkKey(index))
		if o == nil {
			return fmt.Sprintf("link %d is not known", index)
		}
		a := attrsOf(k.t, body)
		master := ""
		if m := k.links[a.MasterIndex]; m != nil {
			master = attrsOf(k.t, m).Name
		}
		up, lower := a.RawFlags&unix.IFF_UP != 0, a.RawFlags&unix.IFF_LOWER_UP != 0
		for word, want := range map[string]string{
			"name": a.Name, "up": strconv.FormatBool(up), "carrier": strconv.FormatBool(up && lower), "mtu": strconv.Itoa(a.MTU), "master": master,
		} {
			if got := o.Words.Get(word); got != want {
				return fmt.Sprintf("link %d: %s is %q, and known as %q", index, word, want, got)
			}
		}
		if got := o.Words["address4"]; !slices.Equal(got, k.addrs[index]) && len(got)+len(k.addrs[index]) > 0 {
			return fmt.Sprintf("link %d has %v, and is known with %v", index, k.addrs[index], got)
		}
		var downs uint32
		attributes(body[ifinfomsg:], func(kind uint16, v []byte) {
			if kind == unix.IFLA_CARRIER_DOWN_COUNT {
				downs = binary.NativeEndian.Uint32(v)
			}
		})
		if o.Life.Flaps != downs {
			return fmt.Sprintf("link %d lost its carrier %d times, and is known with %d", index, downs, o.Life.Flaps)
		}
	}
	return ""
}

// Whichever message of a dock's burst is the first to be lost, and whenever
// somebody reads again: in the end what is known is what there is.
func TestOverflowAtEachMessageOfADock(t *testing.T) {
	if os.Getenv("HOTSVC_CAPTURE") != "" {
		livetest.Namespace(t, func(t *testing.T) {
			livetest.WriteBurst(t, dock, livetest.Capture(t, unix.NETLINK_ROUTE, groups, func() { livetest.Dock(t) }))
			end, err := dump(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkRequest)
			if err != nil {
				t.Fatal(err)
			}
			livetest.WriteBurst(t, dockEnd, end)
		})
	}
	burst := livetest.ReadBurst(t, dock)
	if len(burst) < 50 {
		t.Fatalf("the burst has only %d messages", len(burst))
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	var k *kernel
	for at := 0; at <= len(burst); at += step {
		for _, wake := range []int{at, at + 7, len(burst) - at%5} {
			for _, during := range []int{0, 1, 4} {
				loss := livetest.Loss{At: at, Wake: wake, Pause: 1 + at%7, During: during, Again: at%2 == 0}
				k = &kernel{t: t, links: map[int][]byte{}, addrs: map[int][]string{}, raw: map[string][]byte{}}
				table := newTable(Config{Sys: "/nonexistent", Proc: "/nonexistent", Run: "/nonexistent"})
				table.dump = k.dump
				store := livetest.Replay(t, table, burst, loss, func(n int) { k.happens(burst[n-1]) })
				if wrong := k.differs(store); wrong != "" {
					t.Fatalf("%+v: %s", loss, wrong)
				}
			}
		}
	}
	for _, body := range livetest.ReadBurst(t, dockEnd) {
		want := attrsOf(t, body)
		if want.Name == "lo" {
			continue
		}
		if k.links[want.Index] == nil {
			t.Fatalf("the kernel had %s at the end", want.Name)
		}
		if got := attrsOf(t, k.links[want.Index]); got.Name != want.Name || got.RawFlags != want.RawFlags || !bytes.Equal(got.HardwareAddr, want.HardwareAddr) {
			t.Errorf("the messages say %+v, and the kernel had %+v", got, want)
		}
	}
	if n := len(livetest.ReadBurst(t, dockEnd)) - 1; n != len(k.links) {
		t.Errorf("%d links by the messages, and the kernel had %d", len(k.links), n)
	}
}
