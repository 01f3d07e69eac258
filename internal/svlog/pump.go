package svlog

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Sink is where a pump's text goes; a Dir is one.
type Sink interface {
	// Size is how many bytes the file has.
	Size() int64
	// Render makes the text of what was read: all that Write will add.
	Render(raw []byte, now time.Time) []byte
	// Write appends what Render returned. With an error, what is missing of it
	// is dropped, and counted for a later text.
	Write(out []byte) error
	// Rewind cuts the file back to a size that it had.
	Rewind(size int64) error
	// Turn begins a new file where one is due.
	Turn(now time.Time) error
	// Close ends the file, but no line.
	Close() error
}

// Pump is what carries the output of one service from its FIFO into a Sink. It
// runs until nobody has the FIFO open for writing, or until Stop.
type Pump struct {
	all     *Pumps
	service string
	key     uint64
	fd      int
	done    chan struct{}

	mu      sync.Mutex
	busy    bool // a goroutine works
	stopped bool
	renewed bool // the sink is not to be gone on with

	// the working goroutine's
	sink     Sink // nil: not open
	inLine   bool // what was carried last did not end its line
	used     time.Time
	timer    *time.Timer // closes the sink
	patience time.Time   // until when nothing is dropped because the sink cannot be opened; zero: it can
	again    time.Time   // when that is tried next
}

const (
	// idleTime is how long a sink stays open to which nothing is written.
	idleTime = time.Minute
	// openPatience is how long the FIFO has to hold what cannot be written because
	// the sink cannot be opened. The lock of a daemon that just died is a reason.
	openPatience = 2 * time.Second
	// openAgain is the pause between two attempts after that, in which all is dropped.
	openAgain = time.Second
	openPause = 10 * time.Millisecond
)

// Pump begins to read the FIFO of a service. Whoever writes to it is to have it
// open already.
func (m *Pumps) Pump(service, fifo string) (*Pump, error) {
	fd, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: fifo, Err: err}
	}
	p := &Pump{all: m, service: service, key: keyOf(service), fd: fd, done: make(chan struct{})}
	m.mu.Lock()
	m.pumps[int32(fd)] = p
	m.mu.Unlock()
	if err := m.watch(unix.EPOLL_CTL_ADD, fd); err != nil {
		p.forget()
		return nil, &os.PathError{Op: "epoll_ctl", Path: fifo, Err: err}
	}
	return p, nil
}

// Resume goes on with a FIFO that a dead daemon read. What that began is
// finished first. The FIFO may be at its end already.
func (m *Pumps) Resume(service, fifo string) (*Pump, error) {
	p, err := m.Pump(service, fifo)
	if err == nil {
		p.wake() // an end that comes after no beginning is no event
	}
	return p, err
}

func (p *Pump) forget() {
	p.all.mu.Lock()
	delete(p.all.pumps, int32(p.fd))
	p.all.mu.Unlock()
	unix.Close(p.fd)
}

// Stop ends the pump after the transaction that is under way. What is still in
// the FIFO is for the next one.
func (p *Pump) Stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.wake()
}

// Renew has the sink opened anew before something is written to it: it is to be
// another, or to be kept in another way.
func (p *Pump) Renew() {
	p.mu.Lock()
	p.renewed = true
	p.mu.Unlock()
}

// Done is closed when the pump has ended.
func (p *Pump) Done() <-chan struct{} { return p.done }

// Service is whose output it carries.
func (p *Pump) Service() string { return p.service }

// wake has the pump look at its FIFO.
func (p *Pump) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.busy {
		p.busy = true
		go p.work()
	}
}

// work carries what there is. At the end of the pump it stays busy.
func (p *Pump) work() {
	for {
		s := p.all.take(p.key)
		next := p.step(s)
		p.all.put(s)
		switch next {
		case ended:
			p.all.watch(unix.EPOLL_CTL_DEL, p.fd) // a child between fork and exec has it, too
			p.forget()
			close(p.done)
			return
		case later:
			time.Sleep(openPause)
		case dry:
			if p.rest() {
				return
			}
		}
	}
}

// state is what comes after a step.
type state int

const (
	more  state = iota // there may be more in the FIFO
	later              // there is, but the sink cannot be opened
	dry                // there is nothing now
	ended
)

func (p *Pump) step(s *scratch) state {
	p.mu.Lock()
	stopped, renewed := p.stopped, p.renewed
	p.renewed = false
	p.mu.Unlock()
	if stopped || renewed {
		p.close()
	}
	if stopped {
		return ended
	}
	switch raw, err := s.copy(p.fd); {
	case err == unix.EAGAIN:
		return dry
	case s.mark.open.Load() != 0:
		return p.recover(s)
	case raw != nil:
		return p.carry(s, raw)
	default:
		p.tell(err) // and take it for the end
		return p.end(s)
	}
}

// rest lets wait watch the FIFO; false: there is something to do before.
func (p *Pump) rest() bool {
	if p.sink != nil && time.Since(p.used) >= idleTime {
		p.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.busy = false
	if p.sink == nil {
	} else if p.timer == nil {
		p.timer = time.AfterFunc(idleTime, p.wake)
	} else {
		p.timer.Reset(idleTime)
	}
	p.all.watch(unix.EPOLL_CTL_MOD, p.fd)
	return true
}

func (p *Pump) close() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.sink != nil {
		p.tell(p.sink.Close())
		p.sink = nil
	}
}

// carry is one transaction: see mark.go.
func (p *Pump) carry(s *scratch, raw []byte) state {
	sink := p.open()
	if sink == nil {
		if p.patient() {
			return later
		}
		unix.Read(p.fd, raw)
		return more
	}
	now := time.Now()
	p.tell(sink.Turn(now)) // one that is old, and was idle
	out := sink.Render(raw, now)
	s.mark.begin(p.key, sink.Size(), len(out), raw)
	p.tell(sink.Write(out))
	s.consume(p.fd, len(raw))
	s.mark.clear()
	p.inLine, p.used = raw[len(raw)-1] != '\n', now
	p.tell(sink.Turn(now)) // one that is full now
	return more
}

// end is where nobody has the FIFO open for writing. A line that was not ended
// is, lest the next run's first word goes on with it.
func (p *Pump) end(s *scratch) state {
	if p.inLine && p.sink != nil {
		p.tell(p.sink.Write(p.sink.Render([]byte{'\n'}, time.Now())))
	}
	p.inLine = false
	p.close()
	if p.all.owner.OutputEnds(p, func() bool {
		raw, err := s.copy(p.fd)
		return raw == nil && err != unix.EAGAIN
	}) {
		return ended
	}
	return more
}

// recover ends the transaction of a daemon that died in it: see mark.go.
func (p *Pump) recover(s *scratch) state {
	n := int(s.mark.raw)
	if there, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ); !s.mark.consumed() && err == nil && n <= there && n <= scratchSize {
		switch sink := p.open(); {
		case sink == nil && p.patient():
			return later
		case sink == nil:
		case sink.Size() >= s.mark.size+s.mark.length:
			s.consume(p.fd, n)
		default:
			p.tell(sink.Rewind(s.mark.size))
		}
	}
	s.mark.clear()
	return more
}

// open returns the sink; nil if it cannot be opened.
func (p *Pump) open() Sink {
	now := time.Now()
	if p.sink != nil || now.Before(p.again) {
		return p.sink
	}
	sink, err := p.all.owner.OpenSink(p.service)
	switch {
	case err == nil:
		p.sink, p.used, p.patience = sink, now, time.Time{}
		return sink
	case p.patience.IsZero():
		p.patience = now.Add(openPatience)
	case !p.patient():
		p.tell(err)
		p.again = now.Add(openAgain)
	}
	return nil
}

// patient tells whether to wait for a sink that cannot be opened.
func (p *Pump) patient() bool { return time.Now().Before(p.patience) }

func (p *Pump) tell(err error) {
	if err != nil {
		p.all.owner.LostOutput(p.service, err)
	}
}
