package hold

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hotsvc/internal/object"
)

// Level is how much a service is wanted, and how much it may be.
type Level uint8

const (
	Down Level = iota // not wanted: stop what runs
	Keep              // leave it as it is: start nothing, stop nothing, restart nothing
	Up                // wanted
)

var levelNames = []string{"down", "keep", "up"}

func (l Level) String() string               { return levelNames[l] }
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
func (l *Level) UnmarshalText(b []byte) error {
	i := slices.Index(levelNames, string(b))
	if i < 0 {
		return fmt.Errorf("hold: %q is none of %v", b, levelNames)
	}
	*l = Level(i)
	return nil
}

// Phase is where a hold stands.
type Phase string

const (
	Held        Phase = "held"
	Settling    Phase = "settling"    // the condition has to last until Deadline first
	Lingering   Phase = "lingering"   // the condition ended; the hold outlives it until Deadline
	Provisional Phase = "provisional" // remembered; its source has not told yet
	Suppressed  Phase = "suppressed"  // withheld until Deadline: it flapped too often
)

// Level is what a hold in that phase asks for. A lingering or provisional hold
// starts nothing: a client that dies then is not restarted against a dead link.
func (p Phase) Level() Level {
	switch p {
	case Held:
		return Up
	case Suppressed:
		return Down
	}
	return Keep
}

// Withheld tells whether a hold in that phase has yet to take effect.
func (p Phase) Withheld() bool { return p == Settling || p == Suppressed }

// Holders that are not a rule, a service, a person or a process.
const (
	Admin = "admin" // hsctl start
	Boot  = "boot"  // start_at_boot
)

// Hold is one reason why a service is wanted.
type Hold struct {
	Holder   string        `json:"holder"`          // rule:NAME, service:NAME, uid:N, as:NAME, pid:N, admin, boot
	Life     object.Life   `json:"life"`            // of the object, for a rule's hold
	Marks    string        `json:"marks,omitempty"` // values of the rule's bounce_on words
	Number   int64         `json:"number"`          // when it was made; newer holds undo backoff, failed and done
	Count    int           `json:"count"`           // requires of that holder that are not released
	Asked    int           `json:"asked,omitempty"` // of Count: whose callers still wait; what a daemon's end cuts off has failed
	Phase    Phase         `json:"phase"`
	Deadline time.Duration `json:"deadline,omitempty"` // monotonic; end of the phase
	Since    time.Time     `json:"since"`
	Cause    string        `json:"cause,omitempty"`  // the kernel's news that made it
	Client   uint64        `json:"client,omitempty"` // pid:N: the process's start time
}

// RuleHolder names a rule as a holder.
func RuleHolder(rule string) string { return "rule:" + rule }

// ServiceHolder names a service as a holder.
func ServiceHolder(service string) string { return "service:" + service }

// Rule returns the name of the rule that holds.
func (h *Hold) Rule() (name string, ok bool) { return strings.CutPrefix(h.Holder, "rule:") }

// Service returns the name of the service that holds.
func (h *Hold) Service() (name string, ok bool) { return strings.CutPrefix(h.Holder, "service:") }

// Cap limits a service whatever holds it. Its zero value caps nothing.
type Cap struct {
	Kind  string        `json:"kind"` // "", once, stop or block
	By    string        `json:"by"`
	Since time.Time     `json:"since"`
	Ran   bool          `json:"ran,omitempty"`  // stop: it was a once that is over
	Gone  []object.Life `json:"gone,omitempty"` // stop: ends when all of these have gone
}

const (
	CapOnce  = "once"  // what runs is left to its end, and not started again
	CapStop  = "stop"  // down until start, or until what held the service then is gone
	CapBlock = "block" // down until unblock or start
)

// Level is the most that the cap lets through.
func (c *Cap) Level() Level {
	switch c.Kind {
	case "":
		return Up
	case CapOnce:
		return Keep
	}
	return Down
}
