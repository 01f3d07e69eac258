package object

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says which family an object belongs to; it decides which words exist.
type Kind string

const (
	Device Kind = "device" // keyed by devpath, below /sys
	Link   Kind = "link"   // keyed by ifindex, in decimal
	Mount  Kind = "mount"  // keyed by mount point
	Clock  Kind = "clock"  // one object, keyed "system"
)

// Kinds lists every kind in the order in which people see them.
var Kinds = []Kind{Device, Link, Mount, Clock}

// Key names an object for as long as it exists: a rename or a new devpath
// beneath it changes a device's key, but never a link's.
type Key struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
}

// String is the key as people read it: "link:3", "device:/devices/…".
func (k Key) String() string { return string(k.Kind) + ":" + k.ID }

// Compare orders keys by kind and then by id.
func (k Key) Compare(o Key) int {
	if c := strings.Compare(string(k.Kind), string(o.Kind)); c != 0 {
		return c
	}
	return strings.Compare(k.ID, o.ID)
}

// LinkKey is the key of the link with that ifindex.
func LinkKey(ifindex int) Key { return Key{Link, strconv.Itoa(ifindex)} }

// Life is one life of an object. Two lives with the same key and different
// Incarnation are two objects that followed each other; Flaps tells the carrier
// losses within one incarnation apart, even those that nobody saw happen.
type Life struct {
	Key         Key    `json:"key"`
	Incarnation uint64 `json:"incarnation"`     // ifindex, DISKSEQ, or the inode of the sysfs directory
	Flaps       uint32 `json:"flaps,omitempty"` // links: IFLA_CARRIER_DOWN_COUNT
}

// Words are an object's facts by name. A word that is not there is absent: its
// source has reported and there is none. A word that is there without a value
// is unknown: its source has not reported on this object yet.
type Words map[string][]string

// Bool returns the words of a yes or no.
func Bool(b bool) []string { return []string{strconv.FormatBool(b)} }

// Get returns the word's first value, or "" where it is absent or unknown.
func (w Words) Get(name string) string {
	if v := w[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Equal tells whether both hold the same words with the same values.
func (w Words) Equal(o Words) bool {
	if len(w) != len(o) {
		return false
	}
	for name, values := range w {
		other, ok := o[name]
		if !ok || !slices.Equal(values, other) {
			return false
		}
	}
	return true
}

// Object is one thing that exists now, published whole by its one source.
type Object struct {
	Life  Life      `json:"life"`
	Words Words     `json:"words"`
	Since time.Time `json:"since"` // of this life; the engine's, no source sets it
	Cause string    `json:"cause"` // what told of it last, for people: "uevent add", "rtnetlink newlink", "list"
}

// Name is what people call the object: a link's name, a device's sysname, a
// mount's target.
func (o *Object) Name() string {
	switch o.Life.Key.Kind {
	case Link:
		return o.Words.Get("name")
	case Device:
		return o.Words.Get("KERNEL")
	}
	return o.Life.Key.ID
}

// Label is the key with the name behind it where that tells more: "link:3:wan0".
func (o *Object) Label() string {
	k := o.Life.Key.String()
	if n := o.Name(); o.Life.Key.Kind == Link && n != "" {
		return k + ":" + n
	}
	return k
}

// Move says that a device and all that is beneath it have another devpath now.
// The kernel tells it once, for the top of the subtree.
type Move struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Batch is what one source tells at once. The order is: moves, then puts and
// removals. In a full batch the puts are all that there is: what it does not
// name, of the source's kinds, is gone.
type Batch struct {
	Kinds []Kind   `json:"kinds"` // whose list this is, when Full
	Full  bool     `json:"full,omitempty"`
	Moves []Move   `json:"moves,omitempty"`
	Put   []Object `json:"put,omitempty"`
	Gone  []Key    `json:"gone,omitempty"`
}
