package superdir

import (
	"encoding/binary"
	"fmt"
	"time"

	hotsvc "hotsvc/internal/status"
)

// State is what a service of runit's does: runsv(8) knows no more.
type State byte

const (
	Down   State = 0
	Run    State = 1 // its main process is there
	Finish State = 2 // its finish is
)

var stateWords = [...]string{"down", "run", "finish"}

// String is the word that sv and supervise/stat have for the state.
func (s State) String() string { return stateWords[s] }

// Status is what supervise/status says.
type Status struct {
	Since  time.Time // start of the run, or when it went down
	Pid    int       // 0: none
	Paused bool
	WantUp bool
	Termed bool // sent TERM, and still there
	State  State
}

// Size of supervise/status.
const Size = 20

// tai is second 0 of unix time as a TAI64 label: 2^62, and the 10 seconds that
// runit puts between TAI and UTC whatever the year.
const tai = 1<<62 + 10

// Encode makes the contents of supervise/status:
//
//	0-7    TAI64 label of the second, big-endian
//	8-11   nanoseconds, big-endian
//	12-15  pid, little-endian
//	16-19  paused, 'u' or 'd', got TERM, state
func (s Status) Encode() [Size]byte {
	var b [Size]byte
	binary.BigEndian.PutUint64(b[0:], uint64(s.Since.Unix()+tai))
	binary.BigEndian.PutUint32(b[8:], uint32(s.Since.Nanosecond()))
	binary.LittleEndian.PutUint32(b[12:], uint32(s.Pid))
	b[16], b[17], b[18], b[19] = bit(s.Paused), 'd', bit(s.Termed), byte(s.State)
	if s.WantUp {
		b[17] = 'u'
	}
	return b
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Decode reads supervise/status, as anybody may have written it.
func Decode(b []byte) (Status, error) {
	if len(b) != Size {
		return Status{}, fmt.Errorf("bad format: %d bytes, not %d", len(b), Size)
	}
	nano := binary.BigEndian.Uint32(b[8:])
	if b[19] > byte(Finish) || nano >= 1e9 {
		return Status{}, fmt.Errorf("bad format: state %d, %d ns", b[19], nano)
	}
	return Status{
		Since:  time.Unix(int64(binary.BigEndian.Uint64(b)-tai), int64(nano)),
		Pid:    int(binary.LittleEndian.Uint32(b[12:])),
		Paused: b[16] != 0, WantUp: b[17] == 'u', Termed: b[18] != 0, State: State(b[19]),
	}, nil
}

// stat is the text of supervise/stat.
func (s Status) stat() string {
	text := s.State.String()
	if s.Paused {
		text += ", paused"
	}
	if s.Termed {
		text += ", got TERM"
	}
	if s.State != Down && !s.WantUp {
		text += ", want down"
	}
	return text + "\n"
}

// pid is the text of supervise/pid.
func (s Status) pid() string {
	if s.Pid == 0 {
		return ""
	}
	return fmt.Sprintln(s.Pid)
}

// Of is how runit would put what hotsvc says of a service.
func Of(s *hotsvc.Service) Status {
	out := Status{WantUp: s.Want != "down" && s.Blocked == nil}
	switch {
	case s.Main != nil:
		out.State, out.Pid, out.Since = Run, s.Main.Pid, s.Main.Started
		out.Paused, out.Termed = s.Paused, s.Terminated
	case s.State == "stopping": // its finish may be about to begin, so it is not down yet
		out.State, out.Since = Finish, s.Since
		if s.Pid != nil {
			out.Pid = *s.Pid
		}
		if began, ok := lastChange(s, func(c *hotsvc.Change) bool { return c.To == "starting" }); ok {
			out.Since = began
		}
	default:
		out.Since = s.Since
		if ended, ok := lastChange(s, func(c *hotsvc.Change) bool { return active(c.From) && !active(c.To) }); ok {
			out.Since = ended
		}
	}
	return out
}

// Passing tells of what lasts no longer than a process needs to begin: the run is
// over, and its finish, if it has one, is not there yet.
func (s Status) Passing() bool { return s.State == Finish && s.Pid == 0 }

// lastChange is when the last transition of that kind was, of those remembered.
func lastChange(s *hotsvc.Service, which func(*hotsvc.Change) bool) (time.Time, bool) {
	for i := len(s.History) - 1; i >= 0; i-- {
		if c := &s.History[i]; which(c) {
			return c.At, true
		}
	}
	return time.Time{}, false
}

func active(state string) bool { return state == "starting" || state == "up" || state == "stopping" }
