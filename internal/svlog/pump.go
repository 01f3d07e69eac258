package svlog

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sink is where a pump's text goes; a Dir is one.
type Sink interface {
	// Size is how many bytes the file has.
	Size() int64
	// Render makes the text of what was read: whatever is to be in the file,
	// and nothing but that will Write add. It changes nothing that is seen.
	Render(raw []byte, now time.Time) []byte
	// Write appends what Render returned. With an error it is dropped, and
	// counted for a later text; the file is as it was.
	Write(out []byte) error
	// Rewind cuts the file back to a size that it had.
	Rewind(size int64) error
	// Turn begins a new file where one is due.
	Turn(now time.Time) error
	// Close ends the file.
	Close() error
}

// Pump is what carries the output of one service from its FIFO into a Sink. It
// runs until nobody has the FIFO open for writing, or until Stop.
type Pump struct {
	cfg   PumpConfig
	key   uint64
	marks *Marks
	in    *os.File
	fd    int // in's: only the pump closes it
	conn  syscall.RawConn
	stop  chan struct{}
	done  chan struct{}

	sink     Sink      // nil: not open
	inLine   bool      // what was carried last did not end its line
	patience time.Time // until when nothing is dropped because the sink cannot be opened; zero: it can
	again    time.Time // when that is tried next
}

// PumpConfig is what a Pump is made of. The functions are called from its goroutine.
type PumpConfig struct {
	Service string // its name, under which a transaction is marked
	FIFO    string // path
	// Open opens the sink when there is something for it.
	Open func() (Sink, error)
	// Trouble is told why something was dropped.
	Trouble func(error)
	// End is called when the FIFO seems to be at its end, with the sink closed.
	// It answers whether the pump is to end; still looks once more.
	End func(still func() bool) bool
}

// idleTime is how long a sink stays open to which nothing is written: what is
// silent costs one descriptor and a goroutine.
const idleTime = time.Minute

var past = time.Unix(1, 0)

// openPatience is how long the FIFO has to hold what cannot be written because
// the sink cannot be opened. The lock of a daemon that just died is a reason.
const openPatience = 2 * time.Second

// openAgain is the pause between two attempts after that, in which all is dropped.
const openAgain = time.Second

// Pump begins to read a FIFO. Whoever writes to it is to have it open already,
// else the pump finds it at its end. What a dead daemon began is finished first.
func (m *Marks) Pump(cfg PumpConfig) (*Pump, error) {
	fd, err := unix.Open(cfg.FIFO, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: cfg.FIFO, Err: err}
	}
	p := &Pump{
		cfg: cfg, key: keyOf(cfg.Service), marks: m, fd: fd,
		in:   os.NewFile(uintptr(fd), cfg.FIFO), // which polls it, for it does not block
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if p.conn, err = p.in.SyscallConn(); err != nil {
		p.in.Close()
		return nil, err
	}
	go p.run()
	return p, nil
}

// Stop ends the pump after the transaction that is under way. What is still in
// the FIFO is for the next one.
func (p *Pump) Stop() {
	close(p.stop)
	p.in.SetReadDeadline(past) // wakes it
}

// Done is closed when the pump has ended.
func (p *Pump) Done() <-chan struct{} { return p.done }

func (p *Pump) run() {
	defer close(p.done)
	defer p.in.Close()
	for {
		p.rest()
		s, raw := p.next()
		if s == nil {
			p.close()
			if p.stopped() {
				return
			}
			continue
		}
		ended := false
		switch {
		case s.mark.open.Load() != 0:
			p.recover(s)
		case raw != nil:
			p.carry(s, raw)
		default:
			ended = p.end(s)
		}
		p.marks.put(s)
		if ended {
			return
		}
	}
}

// rest sets how long next waits.
func (p *Pump) rest() {
	var until time.Time // something comes
	if p.sink != nil {
		until = time.Now().Add(idleTime)
	}
	p.in.SetReadDeadline(until)
	if p.stopped() { // maybe just before that
		p.in.SetReadDeadline(past)
	}
}

func (p *Pump) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

func (p *Pump) close() {
	if p.sink != nil {
		p.tell(p.sink.Close())
		p.sink = nil
	}
}

// next waits for something to carry. With nothing in it, the FIFO is at its end;
// without a scratch, the wait is over.
func (p *Pump) next() (s *scratch, raw []byte) {
	p.conn.Read(func(uintptr) bool {
		s = p.marks.take(p.key)
		var err error
		if raw, err = s.copy(p.fd); err != unix.EAGAIN {
			p.tell(err) // and take it for the end
			return true
		}
		p.marks.put(s)
		s = nil
		return false
	})
	return s, raw
}

// carry is one transaction: see mark.go.
func (p *Pump) carry(s *scratch, raw []byte) {
	sink := p.open()
	if sink == nil {
		if !p.patient() {
			unix.Read(p.fd, raw)
		}
		return
	}
	now := time.Now()
	p.tell(sink.Turn(now)) // one that is old, and was idle
	out := sink.Render(raw, now)
	s.mark.begin(p.key, sink.Size(), len(out), raw)
	p.tell(sink.Write(out))
	s.consume(p.fd, len(raw))
	s.mark.clear()
	p.inLine = raw[len(raw)-1] != '\n'
	p.tell(sink.Turn(now)) // one that is full now
}

// end is where nobody has the FIFO open for writing. A line that was not ended
// is, lest the next run's first word goes on with it.
func (p *Pump) end(s *scratch) bool {
	if p.inLine && p.sink != nil {
		p.tell(p.sink.Write(p.sink.Render([]byte{'\n'}, time.Now())))
	}
	p.inLine = false
	p.close()
	return p.cfg.End(func() bool {
		raw, err := s.copy(p.fd)
		return raw == nil && err != unix.EAGAIN
	})
}

// recover ends the transaction of a daemon that died in it: see mark.go.
func (p *Pump) recover(s *scratch) {
	n := int(s.mark.raw)
	if there, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ); !s.mark.consumed() && err == nil && n <= there && n <= scratchSize {
		switch sink := p.open(); {
		case sink == nil && p.patient():
			return
		case sink == nil:
		case sink.Size() >= s.mark.size+s.mark.length:
			s.consume(p.fd, n)
		default:
			p.tell(sink.Rewind(s.mark.size))
		}
	}
	s.mark.clear()
}

// open returns the sink; nil if it cannot be opened.
func (p *Pump) open() Sink {
	now := time.Now()
	if p.sink != nil || now.Before(p.again) {
		return p.sink
	}
	sink, err := p.cfg.Open()
	switch {
	case err == nil:
		p.sink, p.patience = sink, time.Time{}
		return sink
	case p.patience.IsZero():
		p.patience = now.Add(openPatience)
	case now.After(p.patience):
		p.tell(err)
		p.again = now.Add(openAgain)
	}
	return nil
}

// patient waits a moment, while it is worth it, for a sink that cannot be opened.
func (p *Pump) patient() bool {
	if time.Now().After(p.patience) {
		return false
	}
	select {
	case <-p.stop:
	case <-time.After(10 * time.Millisecond):
	}
	return true
}

func (p *Pump) tell(err error) {
	if err != nil {
		p.cfg.Trouble(err)
	}
}
