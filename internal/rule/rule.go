package rule

import (
	"slices"
	"strings"
	"time"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// Rule is one [[rule]] of a rule file, checked.
type Rule struct {
	Name       string
	Pos        toml.Pos
	Object     object.Kind
	Match      match.Cond
	While      []Other
	Unless     []Other
	Require    []string // service names; {word} right of the @ is the object's
	Settle     time.Duration
	Linger     time.Duration // after the condition ended, while the object exists
	LingerGone time.Duration // after the object went
	OnBounce   Bounce
	BounceOn   []string // words whose change is a bounce
	LinkUp     bool
	Claim      bool
	Damping    *Damping // nil: off

	RequirePos []toml.Pos // where each name of Require stands
}

// Other is a condition on objects that are not the rule's subject.
type Other struct {
	Object object.Kind
	Match  match.Cond
}

// Bounce says what to do with a service whose object left and came back while
// its hold lingered. Signal is the signal's name without SIG, or "".
type Bounce struct {
	Restart bool
	Signal  string
}

// Damping bounds flapping: each loss of the condition adds 1 to a penalty that
// halves every HalfLife; at Suppress the hold is withheld until it has decayed
// to Reuse, but never longer than Max (the shape of RFC 2439).
type Damping struct {
	HalfLife time.Duration
	Suppress int
	Reuse    int
	Max      time.Duration
}

// DefaultDamping is the damping of a rule where nobody says otherwise.
var DefaultDamping = Damping{HalfLife: 15 * time.Second, Suppress: 5, Reuse: 2, Max: 2 * time.Minute}

// defaultLingerGone rides out the remove, add and bind of a device that is
// probed again; an ifindex does not come back, so a link has nothing to wait for.
func defaultLingerGone(kind object.Kind) time.Duration {
	if kind == object.Device {
		return 100 * time.Millisecond
	}
	return 0
}

// ReadsState tells whether the rule's match reads a word that a carrier loss
// changes, so that each carrier loss is the end of one incarnation for it.
func (r *Rule) ReadsState() bool {
	return r.Object == object.Link && slices.ContainsFunc(r.Match.Words(), func(name string) bool {
		w, _ := find(object.Link, name)
		return w.flaps
	})
}

// Identity is the part of the match that says which object it is, less what
// says how it is now.
func (r *Rule) Identity() match.Cond {
	return r.Match.Without(func(name string) bool {
		w, _ := find(r.Object, name)
		return w.state
	})
}

// NamesOne tells whether the rule's match names its link without a glob.
func (r *Rule) NamesOne() bool { return len(r.Match.Literals("name")) > 0 }

// AttrNames lists the x of every ATTR{x} and ATTRS{x} that the rules read,
// sorted, each once: what a source must read from sysfs.
func AttrNames(rules []Rule) []string {
	var names []string
	for i := range rules {
		names = append(names, AttrsOf(rules[i].Words())...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AttrsOf lists the x of the words that are ATTR{x} or ATTRS{x}.
func AttrsOf(words []string) []string {
	var names []string
	for _, w := range words {
		if name, ok := attrName(w); ok {
			names = append(names, name)
		}
	}
	return names
}

func attrName(word string) (string, bool) {
	name, ok := strings.CutPrefix(word, "ATTR{")
	if !ok {
		name, ok = strings.CutPrefix(word, "ATTRS{")
	}
	return strings.TrimSuffix(name, "}"), ok
}

// Words lists every word that the rule reads of any object, sorted, each once.
func (r *Rule) Words() []string {
	all := append(r.Match.Words(), r.BounceOn...)
	for _, o := range slices.Concat(r.While, r.Unless) {
		all = append(append(all, o.Match.Words()...), o.Match.Refs()...)
	}
	for _, name := range r.Require {
		all = append(all, match.Refs(name)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
