package superdir

import (
	"strings"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

const (
	turn = 1 << 8  // bytes of one control FIFO before the next one is served
	full = 1 << 16 // all that a FIFO can hold
)

// Heed does what was written to a service's control FIFO until now. Whoever
// tells of a service's end calls it first: a one-shot that says `sv once .` and
// ends is not to be started again because its end was heard before its word.
func (f *Face) Heed(service string) {
	d, known := f.find(service)
	if !known && f.behind() { // a claimed directory may be its own
		f.Settle()
		d, _ = f.find(service)
	}
	if d != nil {
		f.obey(d, full)
	}
}

func (f *Face) find(service string) (d *files, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, known = f.services[service]
	return d, known
}

// obey turns bytes into calls, in order. It holds the others off meanwhile, so
// that none overtakes.
func (f *Face) obey(d *files, limit int) {
	d.reading.Lock()
	defer d.reading.Unlock()
	buf := make([]byte, turn)
	for read := 0; read < limit && d.control >= 0; {
		n, err := unix.Read(d.control, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		read += n
		for _, letter := range buf[:n] {
			call, known := Command(d.service, letter)
			if !known {
				continue
			}
			call.Peer, call.NoWait = self(), true
			f.Post(engine.Input{Call: &call})
		}
	}
}

// Command is what a byte in supervise/control asks of a service (runsv(8)).
// A logger is not told to exit: it ends when its input does.
func Command(name string, letter byte) (call engine.Call, known bool) {
	call.Services = []string{name}
	switch letter {
	case 'u':
		call.Verb = engine.VerbStart
	case 'd':
		call.Verb = engine.VerbStop
	case 'o':
		call.Verb = engine.VerbOnce
	case 'x':
		call.Verb = engine.VerbExit
		return call, !strings.HasSuffix(name, service.LoggerOf(""))
	default:
		call.Verb, call.Signal = engine.VerbSignal, signals[letter]
		return call, call.Signal != ""
	}
	return call, true
}

var signals = map[byte]string{'t': "TERM", 'k': "KILL", 'p': "STOP", 'c': "CONT", 'h': "HUP", 'a': "ALRM", 'i': "INT", 'q': "QUIT", '1': "USR1", '2': "USR2"}
