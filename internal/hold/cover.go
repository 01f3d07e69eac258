package hold

import (
	"slices"

	"hotsvc/internal/object"
)

// Cover is what held a run through one rule: which lives of which objects.
// While the present set shares something with it, what the service started for
// is still there. When it shares nothing, everything has been replaced: a
// bounce. One rule for carrier flaps, replugs, lost messages and a daemon that
// was away: nobody has to have seen the edge.
type Cover struct {
	Holder string   `json:"holder"`
	Marks  []Marked `json:"marks"`
}

// Marked is one life with the words that bounce_on watches.
type Marked struct {
	Life  object.Life `json:"life"`
	Marks string      `json:"marks,omitempty"`
}

// Bounced says what became of the objects that held a run.
type Bounced uint8

const (
	Same     Bounced = iota
	Flapped          // the same objects, but their condition left and came back
	Replaced         // other objects, or the same keys in another life
)

// Covers lists, in holder order, what the rules' holds stand on now.
func Covers(holds []Hold) []Cover {
	var out []Cover
	for i := range holds {
		h := &holds[i]
		if _, ok := h.Rule(); !ok || h.Phase != Held {
			continue
		}
		at := slices.IndexFunc(out, func(c Cover) bool { return c.Holder == h.Holder })
		if at < 0 {
			out = append(out, Cover{Holder: h.Holder})
			at = len(out) - 1
		}
		out[at].Marks = append(out[at].Marks, Marked{h.Life, h.Marks})
	}
	return out
}

// Compare says how what holds now relates to what held before. Both are of one
// rule and not empty.
func (c Cover) Compare(now Cover) Bounced {
	verdict := Replaced
	for _, m := range now.Marks {
		for _, b := range c.Marks {
			switch {
			case m == b:
				return Same
			case m.Life.Key == b.Life.Key && m.Life.Incarnation == b.Life.Incarnation:
				verdict = Flapped
			}
		}
	}
	return verdict
}
