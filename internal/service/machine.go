package service

import (
	"fmt"
	"time"
)

// A service's life is one small machine. It knows `start` and `stop` and the
// events of its own processes, and reports where it rests and why. It never
// starts anything by itself: a restart after a crash is an ordinary start by
// the plan, so that needs, gates and blocks are asked again. There is one
// deadline, and no timer that could outlive its reason.
//
// Every spawn has an attempt number and every process event carries it; the
// engine drops an event of another attempt before it gets here, so no cell has
// to ask whose news it is. READY and EMPTY come by other roads than SPAWNED and
// EXIT and may be early or late: their cells are legal everywhere.
//
// table.go shows all states × events.

// State is where a run of a service stands.
type State uint8

const (
	Rest     State = iota // no process at all; Why says why
	Pre                   // exec_start_pre runs, or is being spawned
	Starting              // the main process runs, or is being spawned, and is not ready
	Up                    // ready; a completed oneshot has no process
	Stopping              // told to end; a process lives, or its spawn is in flight
	Sweeping              // the main process is gone, others of its tree may not be
	Post                  // exec_stop_post runs
	Stuck                 // KILL had no effect (D state), or a spawn hangs
	States                // how many there are
)

var stateNames = [States]string{"rest", "pre", "starting", "up", "stopping", "sweeping", "post", "stuck"}

func (s State) String() string               { return stateNames[s] }
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s *State) UnmarshalText(b []byte) error {
	return unmarshalName(s, stateNames[:], b)
}

// Why says why a machine rests. All but Fresh are latches: they hold only
// while no newer hold than the one that it rested under exists.
type Why uint8

const (
	Fresh   Why = iota // nothing against a start
	Backoff            // crashed; not before NotBefore
	Failed             // gave up, cannot be executed, or its exec_stop refused
	Done               // ended well and is not to be restarted
	whys
)

var whyNames = [whys]string{"fresh", "backoff", "failed", "done"}

func (w Why) String() string               { return whyNames[w] }
func (w Why) MarshalText() ([]byte, error) { return []byte(w.String()), nil }
func (w *Why) UnmarshalText(b []byte) error {
	return unmarshalName(w, whyNames[:], b)
}

// Outcome is how the present run ends.
type Outcome uint8

const (
	Ordered Outcome = iota // the plan said stop
	Crash                  // it ended by itself and must not, or could not start
	Clean                  // it ended by itself and may
	Lost                   // it ended while no daemon looked: neither crash nor success
	NoExec                 // it cannot be executed at all: no retry helps
	Refused                // exec_stop did not undo it
	outcomes
)

var outcomeNames = [outcomes]string{"ordered", "crash", "clean", "lost", "no-exec", "refused"}

func (o Outcome) String() string               { return outcomeNames[o] }
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
func (o *Outcome) UnmarshalText(b []byte) error {
	return unmarshalName(o, outcomeNames[:], b)
}

// Command is which of a definition's commands a process is.
type Command uint8

const (
	CommandMain Command = iota // exec_start
	CommandPre                 // exec_start_pre
	CommandPost                // exec_stop_post
	CommandUndo                // a oneshot's exec_stop
	commands
)

var commandNames = [commands]string{"main", "pre", "post", "undo"}

func (c Command) String() string               { return commandNames[c] }
func (c Command) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c *Command) UnmarshalText(b []byte) error {
	return unmarshalName(c, commandNames[:], b)
}

// Process says what is known of the latest spawn.
type Process uint8

const (
	NoProcess Process = iota
	InFlight          // asked for; neither a pid nor an error has come back
	Known
	processes
)

var processNames = [processes]string{"none", "in-flight", "known"}

func (p Process) String() string               { return processNames[p] }
func (p Process) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (p *Process) UnmarshalText(b []byte) error {
	return unmarshalName(p, processNames[:], b)
}

func unmarshalName[T ~uint8](to *T, names []string, b []byte) error {
	for i, n := range names {
		if n == string(b) {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("service: %q is none of %v", b, names)
}

// EventKind is what can happen to a machine.
type EventKind uint8

const (
	Start      EventKind = iota // by the plan
	Stop                        // by the plan
	Spawned                     // the process exists
	SpawnError                  // it will not
	SaidReady                   // the main process says, or is seen to be, ready
	Exited                      // the process is gone
	Empty                       // nothing of the attempt's tree is left
	Timer                       // Deadline has passed
	Events                      // how many there are
)

var eventNames = [Events]string{"start", "stop", "spawned", "spawn error", "ready", "exit", "empty", "timer"}

func (k EventKind) String() string               { return eventNames[k] }
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
func (k *EventKind) UnmarshalText(b []byte) error {
	return unmarshalName(k, eventNames[:], b)
}

// Event is one thing that happened to the process of an attempt.
type Event struct {
	Kind    EventKind `json:"kind"`
	Attempt int64     `json:"attempt"`
	Pid     int       `json:"pid,omitempty"`     // Spawned
	Started uint64    `json:"started,omitempty"` // Spawned: start time, clock ticks since boot (proc(5) stat field 22)
	Exit    Exit      `json:"exit"`              // Exited
	Left    int       `json:"left,omitempty"`    // Exited: processes of the tree that are still there; -1 not known
	NoExec  bool      `json:"no_exec,omitempty"` // SpawnError: it will not go away by itself (ENOENT, EACCES, no such user)
	Error   string    `json:"error,omitempty"`   // SpawnError: one line
}

// Exit is how a process ended.
type Exit struct {
	Code    int    `json:"code"`
	Signal  string `json:"signal,omitempty"`  // without SIG
	Number  int    `json:"number,omitempty"`  // of Signal, on this machine
	Unknown bool   `json:"unknown,omitempty"` // it ended while no daemon looked
}

// OK tells whether the process ended with status 0.
func (e Exit) OK() bool { return !e.Unknown && e.Signal == "" && e.Code == 0 }

func (e Exit) String() string {
	switch {
	case e.Unknown:
		return "ended, status unknown"
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exited %d", e.Code)
}

// Act is what a machine wants done.
type Act uint8

const (
	ActSpawn Act = iota // start Command under the new Attempt
	ActTerm             // tell the main process to end
	ActKill             // KILL every process of the attempt; answer Empty when so
	ActSweep            // end what the attempt left behind; answer Empty when so
)

// Effect is one Act, for one attempt.
type Effect struct {
	Act     Act
	Attempt int64
	Command Command
}

// Machine is the state of one service. It is a plain value.
type Machine struct {
	State   State   `json:"state"`
	Why     Why     `json:"why"`
	Outcome Outcome `json:"outcome"`

	Attempt int64   `json:"attempt"` // identity of the latest spawn
	Command Command `json:"command"` // what it was
	Process Process `json:"process"`
	Pid     int     `json:"pid,omitempty"`
	Started uint64  `json:"started,omitempty"`

	Run       int64           `json:"run"` // starts so far
	Fails     int             `json:"fails"`
	Failures  []time.Duration `json:"failures"`   // the last so many as give_up counts, oldest first
	NotBefore time.Duration   `json:"not_before"` // at rest in Backoff
	Deadline  time.Duration   `json:"deadline"`   // 0: none
	Since     time.Duration   `json:"since"`      // when the main process began
	UpSince   time.Duration   `json:"up_since"`   // when it became ready
	Lived     time.Duration   `json:"lived"`      // from there to its end

	Exec    uint64 `json:"exec"`              // hash of the Exec it was started with
	Killed  bool   `json:"killed,omitempty"`  // KILL was sent in this ending
	Adopted bool   `json:"adopted,omitempty"` // taken over from another daemon: it may have said READY to nobody
}

const (
	killPatience  = 5 * time.Second  // from KILL to stuck
	postTimeout   = 10 * time.Second // of exec_stop_post, unless a dialect says otherwise
	stuckInterval = 20 * time.Second // between KILLs of what is stuck
)

// Active tells whether a stop has something to stop.
func (m *Machine) Active() bool { return m.State == Pre || m.State == Starting || m.State == Up }

// AtRest tells whether others need not wait for it to end: what KILL cannot
// end must not hang a shutdown.
func (m *Machine) AtRest() bool { return m.State == Rest || m.State == Stuck }

// Noted is what the note of an attempt adds to what was written: its process was
// there, although the daemon that cloned it ended before it could write that.
// Where the record is older, or was damaged, its run is another one.
func (m *Machine) Noted(attempt int64, c Command) {
	switch {
	case attempt == m.Attempt && c == m.Command && m.Process == InFlight:
		m.Process = Known
	case attempt > m.Attempt:
		m.Attempt, m.Command, m.Process = attempt, c, Known
		m.State = [commands]State{CommandMain: Starting, CommandPre: Pre, CommandPost: Stopping, CommandUndo: Stopping}[c]
	}
}

// Adopt makes the machine of a process that another daemon started: live is the
// command that runs, left says that only leftovers do. It returns what is to be
// done about an end that nobody saw.
func (m *Machine) Adopt(now time.Duration, d *Definition, live bool, left bool) []Effect {
	m.Killed = false
	m.Deadline = 0
	if live {
		return m.adoptLive(now, d)
	}
	known := m.Process == Known
	m.noProcess()
	switch was := m.State; was {
	case Rest:
		if !left || d.Policy.KillMode == KillMain { // there, what is left was left on purpose
			return nil
		}
		return m.act(ActKill) // and stays at rest: how it got there counts
	case Up:
		if d.Exec.Type == Oneshot {
			return nil // completed, and stays so
		}
		return m.ended(now, d, Lost)
	case Pre, Starting:
		if d.Exec.Type == Oneshot && was == Starting && known {
			m.State = Up // it ran; how it ended nobody knows: at most once
			return nil
		}
		return m.ended(now, d, Lost)
	case Stopping:
		if m.Command == CommandUndo && !known {
			m.State = Up // nothing has been undone yet: whether it is to be is asked anew
			return nil
		}
	case Post:
		if known {
			return m.rest(now, d)
		}
		return m.postOrRest(now, d)
	case Stuck:
		if m.Command == CommandPost {
			return m.rest(now, d)
		}
	}
	m.State = Stopping // keeps the outcome that was decided
	return m.ended(now, d, m.Outcome)
}

func (m *Machine) adoptLive(now time.Duration, d *Definition) []Effect {
	m.Process = Known
	switch m.Command {
	case CommandPre:
		m.State, m.Deadline = Pre, now+d.Policy.PreTimeout
	case CommandPost:
		m.State, m.Deadline = Post, now+postTime(d)
	case CommandUndo:
		m.State, m.Deadline = Stopping, patience(now, d)
	case CommandMain:
		switch {
		case m.State == Up: // READY was heard
		case d.Exec.Type == Oneshot, d.Exec.Ready != ReadyStarted:
			m.State, m.Deadline = Starting, now+d.Policy.StartTimeout
			m.Adopted = true
		default:
			m.State = Up
		}
	}
	return nil
}
