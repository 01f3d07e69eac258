package resync

// State says what the messages in the socket are worth.
type State uint8

const (
	Draining State = iota // older than the list to come: worth nothing
	Catching              // may be newer than the list just made: not told yet
	Live                  // all that exists has been told
)

// Event is what the source met.
type Event uint8

const (
	Message  Event = iota // the socket gave a message
	Lost                  // the socket overflowed (ENOBUFS): at least one message is missing
	Empty                 // the socket has nothing more (EAGAIN)
	Unlisted              // the list that was asked for could not be made
	Asked                 // somebody needs a new list, though nothing was lost
)

// Do is what the source has to do about it.
type Do uint8

const (
	Nothing Do = iota // read on
	Discard           // throw the message away
	Apply             // apply the message to the table
	List              // make the table anew from a list, then read on
	TellAll           // publish the whole table, then wait
	Tell              // publish what changed, then wait
	Pause             // wait a little before trying again, then read on
)

// Machine is the state. Its zero value has just subscribed: everything that
// happens from now on reaches the socket, and nothing is listed yet.
type Machine struct {
	state State
}

// State returns the state for people and tests.
func (m *Machine) State() State { return m.state }

// Next takes in what the source met and returns what to do.
func (m *Machine) Next(e Event) Do {
	if e == Lost {
		m.state = Draining
		return Nothing
	}
	switch m.state {
	case Draining:
		switch e {
		case Message:
			return Discard
		case Empty:
			// From here on a further overflow is reported again, so the list
			// together with what follows in the socket has no hole.
			m.state = Catching
			return List
		}
	case Catching:
		switch e {
		case Message:
			return Apply
		case Empty:
			m.state = Live
			return TellAll
		case Unlisted:
			m.state = Draining
			return Pause
		case Asked:
			return List
		}
	case Live:
		switch e {
		case Message:
			return Apply
		case Empty:
			return Tell
		case Asked:
			m.state = Catching
			return List
		}
	}
	return Nothing
}
