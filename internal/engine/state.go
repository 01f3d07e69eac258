package engine

import (
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// State is everything that the core knows, as one plain value that JSON takes
// and gives back. What is not in it is derived from it and the configuration.
type State struct {
	Generation int                            `json:"generation"` // configurations so far
	Loaded     time.Time                      `json:"loaded"`
	Objects    object.Store                   `json:"objects"`
	Sources    map[string]object.SourceStatus `json:"sources"`
	Listed     map[string]bool                `json:"listed"` // sources that have told once all that exists
	Units      map[string]*Unit               `json:"units"`
	Links      map[string]*LinkMemo           `json:"links"`     // by ifindex
	Damps      map[string]*hold.Damp          `json:"damps"`     // by rule, newline, service
	Number     int64                          `json:"number"`    // the newest hold's
	Attempts   int64                          `json:"attempts"`  // the highest number of an attempt of what has been forgotten
	Suspended  string                         `json:"suspended"` // by whom, or ""
	Shutdown   bool                           `json:"shutdown"`
	Waits      []wait                         `json:"waits"`
	Monitors   []monitor                      `json:"monitors"`
	Later      []Call                         `json:"later"` // from inside; done when the caller has hung up
}

// Unit is one service or instance: its holds, its cap and its machine.
type Unit struct {
	Name     string          `json:"name"`
	Machine  service.Machine `json:"machine"`
	Hash     uint64          `json:"hash"` // of the definition's Exec, as last seen
	Run      Run             `json:"run"`  // what the present or last run was made of
	Holds    []hold.Hold     `json:"holds"`
	Cap      hold.Cap        `json:"cap"`
	Owed     bool            `json:"owed,omitempty"`   // one run, whatever holds it
	Paused   bool            `json:"paused,omitempty"` // its run was sent STOP and no CONT since
	Termed   bool            `json:"termed,omitempty"` // its run was sent TERM
	Latch    int64           `json:"latch"`            // newest hold's number when it came to rest: a newer one undoes backoff, failed and done
	Pardon   int64           `json:"pardon"`           // number of the last restart, start or new definition: failures before it are forgotten
	Restarts int64           `json:"restarts"`         // starts after a failure
	Gen      int64           `json:"gen"`              // a run must be newer than the last change of this
	Ran      int64           `json:"ran"`              // Gen when the present run began
	Cover    []hold.Cover    `json:"cover"`            // what held the present run, by rule
	Gates    []gateState     `json:"gates"`
	Because  string          `json:"because"` // why it is as it is, one line
	Exit     *exitRecord     `json:"exit"`
	History  []change        `json:"history"`
	Changes  int64           `json:"changes"`
	Shown    string          `json:"shown"` // public state at the last Step
	Since    time.Time       `json:"since"` // of Shown

	// Only in a snapshot: what is not derived, and no record needs.
	Unclaimed bool            `json:"unclaimed,omitempty"`
	Last      *service.Policy `json:"last,omitempty"` // of a definition that is gone

	def       *service.Definition // nil: defined no more
	eff       *service.Definition // what the machine steps by: the run's Exec, today's Policy
	instance  string
	needs     []*Unit
	wants     []*Unit
	after     []*Unit
	inner     []*Unit // services that this one holds from inside
	neededBy  []*Unit
	afterBy   []*Unit // that start after it, or hold it from inside: they stop before it
	ceiling   hold.Level
	want      hold.Level
	owes      bool // it is to run once, and may, although want is not up
	newest    int64
	must      bool // has to rest
	pending   bool // on its way up
	unclaimed bool // adopted without a hold: kept until every source has told what may hold it
	dirty     bool // its record is to be saved
	faded     bool // a hold of it changed: look at its cover
}

// Run is what a run was made of: frozen when it started.
type Run struct {
	Exec    service.Exec        `json:"exec"`
	Primary string              `json:"primary"` // label of the object whose words the commands see
	Key     object.Key          `json:"key"`
	Rule    string              `json:"rule"`
	Words   map[string][]string `json:"words"`
}

type gateState struct {
	Text   string        `json:"text"` // of the gate, as written
	Open   bool          `json:"open"`
	Known  bool          `json:"known"`
	Was    bool          `json:"was"` // has been open once
	LeftAt time.Duration `json:"left_at"`
}

type exitRecord struct {
	service.Exit
	What string    `json:"what"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

type change struct {
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
}

// LinkMemo is what is remembered of a link for as long as it exists.
type LinkMemo struct {
	Foreign bool `json:"foreign"` // as it was at first sight
	WasUp   bool `json:"was_up"`  // it has been up, by us or by others; an administrator's later down stands
}
