package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

// Limits that keep one client from harming the others or the daemon.
const (
	maxConns   = 64  // at the same time
	maxReaders = 48  // of those, by callers that may only read: root always gets in
	maxWaiting = 512 // besides, while they wait for services: what they wait for may have to ask, too
	hangupTime = time.Second
)

// patience is how long a client may take.
type patience struct {
	idle    time.Duration // without a call
	message time.Duration // for a message to arrive, or to be taken by the client
}

// Server answers calls on the control socket. Its fields are set before Serve
// and not changed after.
type Server struct {
	// Post puts an input in the engine's inbox. It may block while the inbox
	// is full, and only the connection that posts waits then; but it must
	// return once the engine has ended, for Serve waits for every connection.
	Post func(engine.Input)

	// Reload reads the configuration and puts it in force, or says why not. The
	// problems may be mere warnings.
	Reload func(context.Context) ([]toml.Problem, error)

	// Upgrade looks at a program, the one on disk where there is no name, and
	// says why it cannot go on from here, or returns what lets it.
	Upgrade func(ctx context.Context, binary string) (proceed func(), err error)

	// Finish adds to an answer what only the edges know. It may read files: only
	// the caller waits. May be nil.
	Finish func(any) any

	// ServiceOf tells which service's attempt a process belongs to. May be nil.
	ServiceOf func(pid int) (service string, attempt int64, ok bool)

	Version string
	Group   int          // whose members may read; -1: nobody
	Log     func(string) // a line for the daemon's own log; may be nil

	patience patience // zero: the default

	mu      sync.Mutex
	lastID  int64
	waiting map[int64]*mailbox
	conns   map[*conn]bool
	readers int
	parked  int // of conns: those that wait
}

var errBusy = errors.New("too many connections: close some, or try again in a moment")

// Serve accepts callers until ctx ends; calls under way are then cut off. It
// leaves the listener open: it may be handed to the next daemon.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener) error {
	if s.patience == (patience{}) {
		s.patience = patience{idle: 5 * time.Minute, message: 10 * time.Second}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer s.closeAll()
	for {
		nc, err := l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			l.SetDeadline(time.Time{})
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // no descriptor left, most likely: others will end
			s.log("control: " + err.Error())
			time.Sleep(100 * time.Millisecond)
			continue
		}
		c := &conn{server: s, nc: nc, in: newInput()}
		if err := s.admit(c); err != nil {
			c.refuse(err)
			continue
		}
		running.Go(func() {
			defer s.dismiss(c)
			c.serve(ctx)
		})
	}
}

// admit takes a connection in, or says why not.
func (s *Server) admit(c *conn) error {
	caller, err := callerOf(c.nc, s.Group)
	if err != nil {
		return fmt.Errorf("cannot tell who is calling: %w", err)
	}
	if s.ServiceOf != nil && caller.Client.Pid > 0 {
		if service, attempt, ok := s.ServiceOf(caller.Client.Pid); ok {
			caller.Service, caller.Attempt = service, attempt
		}
	}
	c.caller = caller
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns)-s.parked >= maxConns || caller.access != Write && s.readers >= maxReaders {
		return errBusy
	}
	if s.conns == nil {
		s.conns = make(map[*conn]bool)
	}
	s.conns[c] = true
	if caller.access != Write {
		s.readers++
	}
	return nil
}

func (s *Server) dismiss(c *conn) {
	c.nc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.caller.access != Write {
		s.readers--
	}
}

// park takes a connection that is about to wait for a service out of the count,
// and returns what puts it back. A caller that may only read stays in it.
func (s *Server) park(c *conn) (back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.caller.access != Write || s.parked >= maxWaiting {
		return func() {}
	}
	s.parked++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parked--
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.nc.Close()
	}
}

// Deliver takes a reply of the engine's to whoever waits for it. It never
// blocks; a reply that nobody waits for is dropped.
func (s *Server) Deliver(r engine.Reply) {
	s.mu.Lock()
	box := s.waiting[r.ID]
	s.mu.Unlock()
	if box != nil {
		box.put(r)
	}
}

// expect numbers a call and makes room for its replies.
func (s *Server) expect() (int64, *mailbox) {
	box := &mailbox{bell: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(map[int64]*mailbox)
	}
	s.lastID++
	s.waiting[s.lastID] = box
	return s.lastID, box
}

func (s *Server) forget(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

func (s *Server) reload(ctx context.Context) engine.Reply {
	if s.Reload == nil {
		return engine.Reply{Code: engine.CodeDaemon, Error: "this daemon cannot reload"}
	}
	problems, err := s.Reload(ctx)
	r := engine.Reply{Value: problems}
	if err != nil {
		r.Code, r.Error = engine.CodeNo, err.Error()
	}
	return r
}

func (s *Server) log(line string) {
	if s.Log != nil {
		s.Log(line)
	}
}

// mailbox is where the engine leaves the replies to one call. Leaving one never
// blocks, and what waits is bounded: of a stream of changes only the newest of
// each service is kept, and its count shows how many were skipped (S50).
type mailbox struct {
	mu      sync.Mutex
	changes []status.Change
	journal []byte
	at      map[string]int // where a service stands in changes
	last    *engine.Reply
	bell    chan struct{}
}

func (m *mailbox) put(r engine.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer ring(m.bell)
	if !r.More {
		if m.last == nil {
			m.last = &r
		}
		return
	}
	if line, ok := r.Value.(engine.JournalLine); ok {
		m.write(line)
		return
	}
	c := r.Value.(status.Change) // there is more only of Monitor and Record
	if i, ok := m.at[c.Service]; ok {
		m.changes[i] = c
		return
	}
	if m.at == nil {
		m.at = make(map[string]int)
	}
	m.at[c.Service] = len(m.changes)
	m.changes = append(m.changes, c)
}

// maxJournal is how much of a journal may wait for a slow reader: beyond, it has
// a gap, so it ends.
const maxJournal = 32 << 20

func (m *mailbox) write(line engine.JournalLine) {
	switch {
	case m.last != nil:
	case len(m.journal)+len(line) > maxJournal:
		m.last = &engine.Reply{Code: engine.CodeNo, Error: "the journal was not read fast enough: what comes now is not in it"}
	default:
		m.journal = append(m.journal, line...)
	}
}

// take empties the box: the next part of what there is more of, or nil, and the
// last reply once it is there and all before it has been taken.
func (m *mailbox) take() (part any, last *engine.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(m.changes) > 0:
		part = m.changes
		m.changes, m.at = nil, nil
	case len(m.journal) > 0:
		n := min(len(m.journal), maxMessage/4) // escaped, it is longer
		for n < len(m.journal) && !utf8.RuneStart(m.journal[n]) {
			n--
		}
		part = string(m.journal[:n])
		if m.journal = m.journal[n:]; len(m.journal) == 0 {
			m.journal = nil
		} else {
			ring(m.bell)
			return part, nil
		}
	}
	return part, m.last
}
