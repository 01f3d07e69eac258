package engine

import (
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// Input is one thing that happened. Exactly one field is set; an Input without
// any is a wake-up.
type Input struct {
	Report  *object.Report // a source told something
	Process *ProcessEvent  // the process edge told something
	Call    *Call          // somebody asks
	Hangup  int64          // the caller of that call is gone: its wait ends
	Gone    *Client        // a client process that held services is gone
	Config  *config.Config // a checked configuration is to be in force
}

// ProcessEvent is an event of one service's attempt.
type ProcessEvent struct {
	Service string
	service.Event
}

// Client is a process that holds services; pids are reused, start times are not.
type Client struct {
	Pid     int    `json:"pid"`
	Started uint64 `json:"started"` // proc(5) stat field 22
}

// Peer is who makes a call, as the kernel tells it.
type Peer struct {
	UID     int    `json:"uid"`
	Client  Client `json:"client"`
	Service string `json:"service,omitempty"` // the caller is a process of this service's
	Attempt int64  `json:"attempt,omitempty"`
}

// Verb is what a call asks for.
type Verb string

const (
	VerbStatus        Verb = "status"
	VerbRequire       Verb = "require"
	VerbRelease       Verb = "release"
	VerbHold          Verb = "hold"
	VerbStart         Verb = "start"
	VerbStop          Verb = "stop"
	VerbRestart       Verb = "restart"
	VerbReloadService Verb = "reload-service"
	VerbOnce          Verb = "once"   // run to its end, and not again
	VerbSignal        Verb = "signal" // send a signal to the main process
	VerbExit          Verb = "exit"   // undo what people said of it, and begin anew
	VerbBlock         Verb = "block"
	VerbUnblock       Verb = "unblock"
	VerbStopAll       Verb = "stopall"
	VerbSuspend       Verb = "suspend"
	VerbResume        Verb = "resume"
	VerbWait          Verb = "wait"
	VerbWhy           Verb = "why"
	VerbObjects       Verb = "objects"
	VerbRules         Verb = "rules"
	VerbMonitor       Verb = "monitor"  // answered again and again until hang-up
	VerbRecord        Verb = "record"   // likewise: the journal
	VerbShutdown      Verb = "shutdown" // the daemon's own SIGTERM: like stopall, not remembered
)

// Call is one request. The control edge numbers it; replies carry the number.
type Call struct {
	ID       int64
	Peer     Peer
	Verb     Verb
	Services []string      // names; patterns (globs) for status and monitor
	As       string        // require, release: an idempotent holder's name
	For      string        // wait: "up" (default) or "down"
	Not      bool          // why: why it does not run
	Signal   string        // signal: without SIG
	Kind     string        // objects: device, link, …
	Match    string        // objects: a TOML table like a rule's match
	Timeout  time.Duration // of a wait; negative: none. 0 asks once, and gives up at once what has to wait
	NoWait   bool          // answer when it is ordered, not when it is done
}

// Code is how a call ended; it is also hsctl's exit status.
type Code int

const (
	CodeYes     Code = 0
	CodeNo      Code = 1
	CodeTimeout Code = 2
	CodeUnknown Code = 3 // no such service
	CodeDenied  Code = 4
	CodeUsage   Code = 100
	CodeDaemon  Code = 111
)

// Reply answers a call. A reply with More is followed by others.
type Reply struct {
	ID    int64
	Code  Code
	Error string // one line, when Code is not CodeYes
	Value any    // a status value, or nil
	More  bool
	Later bool // what was asked for is done when the caller has hung up: post Hangup then, after 1 s at the latest
}

// EffectKind is what an effect is about.
type EffectKind uint8

const (
	EffectSave     EffectKind = iota // write Record for Service; before its spawn and before a reply
	EffectForget                     // remove Service's record
	EffectGlobal                     // write Record as the core's own record; Text is who suspended everything
	EffectSpawn                      // start Spawn
	EffectTerm                       // run Spawn, if any, to its end, then send Signal and CONT to the main process, then run After
	EffectKill                       // KILL every process of the attempt and answer Empty when so; without KillAll the main one alone
	EffectSweep                      // send Signal to what is left of the attempt, answer Empty when so
	EffectRetire                     // the record says how the attempt's process ended, and nothing of it is left: forget it
	EffectSignal                     // run Spawn, if any, to its end, then send Signal to the main process
	EffectReply                      // answer a call
	EffectLinkUp                     // set link Ifindex up
	EffectInterest                   // tell the sources which words rules read
	EffectWatch                      // tell when Client is gone
	EffectLog                        // a line for the daemon's own log
)

// Effect is one thing to be done, as data. Effects of one service are done in
// order, but Kill overtakes.
type Effect struct {
	Kind     EffectKind
	Service  string
	Attempt  int64
	Command  service.Command
	Spawn    *service.Spawn
	After    *service.Spawn
	Instead  bool   // Spawn that exits 0 stands for Signal
	Signal   string // without SIG
	KillAll  bool   // Kill, Sweep: false leaves all but the main process alone (kill_mode = "main")
	Record   []byte // JSON
	Reply    *Reply
	Ifindex  int
	Interest *Interest
	Client   *Client
	Text     string
}

// Interest is what the sources need to read because rules ask for it.
type Interest struct {
	Attrs         []string // sysfs attributes of devices
	DefaultRoutes bool     // default4, default6 of links
}
