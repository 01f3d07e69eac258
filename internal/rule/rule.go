package rule

import (
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
