package linkwatch

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// world is a radio in a kernel that tells of itself on two sockets, which are
// read in any order, each late by any time, and which both may overflow.
type world struct {
	*two
	r        *rand.Rand
	up, on   bool
	downs    uint32
	networks int            // so many there were; each has a name of its own
	since    map[uint32]int // the first network that was there with so many carrier losses
	links    []func()       // messages that were not read yet
	events   []uint8
}

func (w *world) say() {
	flags, operstate, carrier, downs := uint32(0x1002), byte(2), byte(0), w.downs
	switch {
	case w.on:
		flags, operstate, carrier = 0x11043, 6, 1
	case w.up:
		flags = 0x1003
	}
	w.links = append(w.links, func() { w.link(flags, operstate, carrier, downs) })
}

func (w *world) join(command uint8) {
	w.networks++
	w.kernel.ssid = fmt.Sprintf("net%d", w.networks)
	if _, known := w.since[w.downs]; !known {
		w.since[w.downs] = w.networks
	}
	w.on = true
	w.events = append(w.events, command)
}

func (w *world) leave() {
	w.kernel.ssid, w.on = "", false
	w.downs++
	w.events = append(w.events, unix.NL80211_CMD_DISCONNECT)
}

// step is one thing that happens in the kernel, or one that a source does.
func (w *world) step() {
	switch w.r.IntN(12) {
	case 0: // up and down
		if w.on {
			w.leave()
		}
		w.up = !w.up
		w.say()
	case 1:
		if w.up && !w.on && w.kernel.iftype == unix.NL80211_IFTYPE_STATION {
			w.join(unix.NL80211_CMD_CONNECT)
			w.say()
		}
	case 2:
		if w.on {
			w.join(unix.NL80211_CMD_ROAM)
		}
	case 3:
		if w.on {
			w.leave()
			w.say()
		}
	case 4: // to another network so quickly that rtnetlink has one message of it
		if w.on {
			w.leave()
			w.join(unix.NL80211_CMD_CONNECT)
			w.say()
		}
	case 5:
		if !w.on {
			w.kernel.iftype ^= unix.NL80211_IFTYPE_STATION ^ unix.NL80211_IFTYPE_AP
			w.events = append(w.events, unix.NL80211_CMD_SET_INTERFACE)
		}
	case 6, 7:
		if len(w.links) > 0 {
			w.links[0]()
			w.links = w.links[1:]
		}
	case 8:
		if len(w.events) > 0 {
			w.event(w.events[0])
			w.events = w.events[1:]
		}
	case 9:
		if len(w.events) == 0 || w.r.IntN(2) == 0 {
			w.answer()
		}
		if w.r.IntN(20) == 0 { // an overflow: the rest is not there, a list follows
			w.events = nil
			w.list()
		}
	case 10:
		w.tell(w.r.IntN(10) == 0)
	case 11:
		time.Sleep(time.Duration(w.r.IntN(300)) * time.Millisecond)
	}
}

// check: a network that is told is never one from before the carrier that is
// told with it.
func (w *world) check() error {
	o := w.store.Get(object.LinkKey(4))
	if o == nil {
		return nil
	}
	ssid := o.Words.Get("ssid")
	if ssid != "" && o.Words.Get("carrier") != "true" {
		return fmt.Errorf("%s without carrier", ssid)
	}
	if n, _ := strconv.Atoi(strings.TrimPrefix(ssid, "net")); ssid != "" && n < w.since[o.Life.Flaps] {
		return fmt.Errorf("%s with %d losses, where net%d was the first", ssid, o.Life.Flaps, w.since[o.Life.Flaps])
	}
	if o.Words.Get("iftype") == "ap" && o.Words.Get("associated") == "true" {
		return fmt.Errorf("an access point is associated")
	}
	return nil
}

func (w *world) truth() error {
	station := w.kernel.iftype == unix.NL80211_IFTYPE_STATION
	o := w.store.Get(object.LinkKey(4))
	if o == nil {
		return fmt.Errorf("no link")
	}
	for word, want := range map[string]string{
		"iftype": iftypeName(w.kernel.iftype), "ssid": w.kernel.ssid, "associated": strconv.FormatBool(w.on && station),
		"carrier": strconv.FormatBool(w.on), "up": strconv.FormatBool(w.up),
	} {
		if v, ok := o.Words[word]; o.Words.Get(word) != want || ok && v == nil {
			return fmt.Errorf("%s is %q, want %q", word, v, want)
		}
	}
	return nil
}

// TestWifiWalk: whatever the order, nothing false is told on the way, and in the
// end the truth.
func TestWifiWalk(t *testing.T) {
	walks := 200
	if testing.Short() {
		walks = 50
	}
	for seed := range uint64(walks) {
		synctest.Test(t, func(t *testing.T) {
			k := &cfg80211{loaded: true, iftype: unix.NL80211_IFTYPE_STATION, old: seed%2 == 1}
			w := &world{two: newTwo(t, k), r: rand.New(rand.NewPCG(seed, 7)), since: map[uint32]int{}}
			w.say()
			for i := range 200 {
				w.step()
				if err := w.check(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
			}
			for range 3 {
				for _, read := range w.links {
					read()
				}
				for _, command := range w.events {
					w.event(command)
				}
				w.links, w.events = nil, nil
				w.tell(false)
				w.answer()
				w.tell(false)
			}
			if err := w.truth(); err != nil {
				t.Errorf("seed %d: %v; told %q", seed, err, w.told)
			}
		})
	}
}
