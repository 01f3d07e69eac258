package status

import (
	"time"

	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// Schema is the version of all JSON forms in this package.
const Schema = 1

// Report is the answer of `hsctl status --json`.
type Report struct {
	Schema    int                   `json:"schema"`
	Version   string                `json:"version"`
	BootID    string                `json:"boot_id"`
	Degraded  []string              `json:"degraded"` // what this daemon cannot promise, a line each
	Suspended *string               `json:"suspended"`
	Services  []Service             `json:"services"`
	Sources   []object.SourceStatus `json:"sources"`
	Config    Config                `json:"config"`
}

// Config says which configuration is in force.
type Config struct {
	Generation int            `json:"generation"`
	Loaded     time.Time      `json:"loaded"`
	Problems   []toml.Problem `json:"problems"`
}

// Service is one service or instance.
type Service struct {
	Name        string      `json:"name"`
	Template    *string     `json:"template"`
	Instance    *string     `json:"instance"`
	Description string      `json:"description"`
	Type        string      `json:"type"`     // daemon, oneshot
	State       string      `json:"state"`    // down waiting starting up stopping backoff failed stuck
	Substate    *string     `json:"substate"` // pre, main, post, sweeping, undo, …
	Want        string      `json:"want"`     // up keep down
	Since       time.Time   `json:"since"`    // of State
	Pid         *int        `json:"pid"`
	Main        *Process    `json:"main"`
	Paused      bool        `json:"paused"`     // sent STOP, and no CONT since
	Terminated  bool        `json:"terminated"` // sent TERM, and still there
	Reason      string      `json:"reason"`     // one line: why it is as it is
	Restarts    int64       `json:"restarts"`
	Failures    int         `json:"failures"`
	Exit        *Exit       `json:"exit"`
	NextStart   *time.Time  `json:"next_start"`
	Holds       []Hold      `json:"holds"`
	Blocked     *Blocked    `json:"blocked"`
	Gates       []Gate      `json:"gates"`
	WaitingFor  []Waiting   `json:"waiting_for"`
	Needs       []string    `json:"needs"`
	NeededBy    []string    `json:"needed_by"`
	Primary     *string     `json:"primary"` // the object whose words the commands see
	LogTo       string      `json:"log_to"`  // file, syslog, none, or pipe: and the service that reads it
	Log         *string     `json:"log"`     // the file that is being written
	Definition  *Definition `json:"definition"`
	History     []Change    `json:"history"` // the last transitions, oldest first
	LogTail     []string    `json:"log_tail"`
}

// Wanted tells whether it is to run: what is to be kept as it is, as during a
// linger, is wanted as long as it runs.
func (s *Service) Wanted() bool {
	return s.Want == "up" || s.Want == "keep" && (s.State == "up" || s.State == "starting")
}

// Process is the main process.
type Process struct {
	Pid     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// Exit is how the last run ended.
type Exit struct {
	Code   *int      `json:"code"` // null when killed or unknown
	Signal *string   `json:"signal"`
	At     time.Time `json:"at"`
	What   string    `json:"what"` // main, pre, post, undo, spawn
	Text   string    `json:"text"`
}

// Hold is one reason why a service is wanted.
type Hold struct {
	Holder      string     `json:"holder"` // rule:NAME, service:NAME, uid:N, as:NAME, pid:N, admin, boot
	Object      *string    `json:"object"`
	With        *string    `json:"with"`  // the hold's rule's other condition, where it has one
	Count       int        `json:"count"` // of requires that one holder made
	Since       time.Time  `json:"since"`
	LingerUntil *time.Time `json:"linger_until"`
	Provisional bool       `json:"provisional"` // remembered from before; its source has not told yet
	Where       *string    `json:"where"`       // file:line of the rule
	Cause       *string    `json:"cause"`       // the kernel event that made it
	Suppressed  *time.Time `json:"suppressed_until"`
	Settling    *time.Time `json:"settled_at"`
}

// Blocked says who took the service down.
type Blocked struct {
	By        string    `json:"by"`
	Kind      string    `json:"kind"` // stop, block, once, suspend, masked
	Since     time.Time `json:"since"`
	UntilGone []string  `json:"until_gone"`
}

// Gate is one precondition.
type Gate struct {
	Text string `json:"text"`
	Open *bool  `json:"open"` // null: not known yet
}

// Waiting is one thing that a start waits for.
type Waiting struct {
	Kind string `json:"kind"` // gate needs after damping settle backoff udev blocked
	What string `json:"what"`
}

// Definition is where the service is defined.
type Definition struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Masked bool   `json:"masked"`

	Dialect string  `json:"dialect"`       // native, runit, backhand, sysmgr, hermit
	Dir     *string `json:"dir"`           // the service's own directory
	AtBoot  bool    `json:"start_at_boot"` // what sv calls "normally up"
}

// Change is one transition of a service, as `monitor` prints it.
type Change struct {
	Service string    `json:"service"`
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Reason  string    `json:"reason"`
	Count   int64     `json:"count"` // transitions of this service so far: a gap means that some were skipped
}

// Why is the answer of `hsctl why`.
type Why struct {
	Service    string   `json:"service"`
	State      string   `json:"state"`
	Running    bool     `json:"running"`
	Chain      []Step   `json:"chain"`      // running: kernel event → object → rule → hold → transition
	Unmet      *string  `json:"unmet"`      // down: the first fact that is missing
	Remedy     *string  `json:"remedy"`     // what would change it
	Dependents []string `json:"dependents"` // services that are down because this one is
}

// Step is one link of a chain.
type Step struct {
	What string `json:"what"` // event, object, rule, hold, need, transition
	Text string `json:"text"`
}

// Object is one thing that exists now, as `hsctl objects` prints it.
type Object struct {
	Key         string              `json:"key"`
	Name        string              `json:"name"`
	Incarnation uint64              `json:"incarnation"`
	Words       map[string][]string `json:"words"`
	Cause       string              `json:"cause"`
	Since       time.Time           `json:"since"`
	Holds       []string            `json:"holds"` // services that it holds
}

// Rule is one rule with what it does now.
type Rule struct {
	Name    string   `json:"name"`
	Where   string   `json:"where"`
	Object  string   `json:"object"`
	Require []string `json:"require"`
	Match   string   `json:"match"`
	Matches []Match  `json:"matches"`
}

// Match is one object that a rule's own condition matches.
type Match struct {
	Object  string   `json:"object"`
	Holds   []string `json:"holds"`   // services held through it
	Problem *string  `json:"problem"` // why not, where it holds nothing, or not for long
}

// Done is the answer of every verb that acts.
type Done struct {
	Service string `json:"service"`
	State   string `json:"state"`
	Text    string `json:"text"` // what was done, one line
}
