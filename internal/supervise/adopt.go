package supervise

import (
	"errors"
	"syscall"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// Adopt takes over what an earlier daemon's attempt left running. The end of its
// main process is reported like any other; how it ended is Unknown where that
// cannot be found out. What has no main process any more (Pid 0) is there for a
// Sweep, Kill or Retire.
// SaidReady may come at any time; check, where it is not nil, is the spawn of a
// service that was not yet ready by its check.
func (s *Supervisor) Adopt(l Live, check *service.Spawn) {
	s.with(l.Service, func(x *executor) {
		a := &attempt{x: x, tree: l.Tree, command: l.Command, spawn: check, started: make(chan struct{}), begun: true}
		x.attempts[l.Attempt] = a
		if l.Pid == 0 {
			a.gone = true
			close(a.started)
			return
		}
		go a.adopt(l)
	})
}

func (a *attempt) adopt(l Live) {
	s := a.x.s
	p, err := insist(s, func() (Process, error) { return s.k.Find(l.Tree, l.Pid, l.Started) })
	if err == errClosed {
		close(a.started)
		return
	}
	s.mu.Lock()
	if err == nil {
		a.proc = p
	}
	a.gone = err != nil
	killed := a.killed
	s.mu.Unlock()
	close(a.started)
	if err != nil { // it ended after Load saw it
		left, stateErr := s.k.TreeState(a.tree)
		if stateErr != nil {
			left = -1
		}
		a.x.post(service.Event{Kind: service.Exited, Attempt: l.Attempt, Exit: service.Exit{Unknown: true}, Left: left})
		return
	}
	if killed {
		p.Signal(syscall.SIGKILL)
	}
	a.heed(p)
	a.wait(p)
}

var errClosed = errors.New("the daemon ends")

// insist asks for a process until it is found or known to have ended.
func insist[P any](s *Supervisor, find func() (P, error)) (p P, err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		if p, err = find(); !lacking(err) {
			return p, err
		}
		select {
		case <-s.done:
			return p, errClosed
		case <-time.After(pause):
		}
	}
}

// watch tells when a client is gone. The pidfd is opened before the start time
// is compared, so that no reuse of the pid can come between.
func (s *Supervisor) watch(c engine.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.watched[c]; s.closed || ok {
		return
	}
	s.watched[c] = nil
	go func() {
		p, err := insist(s, func() (*process, error) { return findProcess(c.Pid, c.Started) })
		if err == errClosed {
			return
		}
		s.mu.Lock()
		s.watched[c] = p // for Close to wake us
		closed := s.closed
		s.mu.Unlock()
		if err == nil {
			defer p.Close()
			if closed || !p.awaitEnd() {
				return
			}
		}
		s.mu.Lock()
		delete(s.watched, c)
		s.mu.Unlock()
		s.post(engine.Input{Gone: &c})
	}()
}
