package supervise

import (
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// Adopt takes over what an earlier daemon's attempt left running. The end of its
// main process is reported like any other; how it ended is Unknown where that
// cannot be found out. Leftovers only (Pid 0) are there for a Sweep or Kill.
// ready, where it is not nil, is the spawn of a service that was not ready yet.
func (s *Supervisor) Adopt(l Live, ready *service.Spawn) {
	s.with(l.Service, func(x *executor) {
		a := &attempt{x: x, tree: l.Tree, command: l.Command, spawn: ready, started: make(chan struct{}), begun: true}
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
	p, err := s.k.Find(l.Tree, l.Pid, l.Started)
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
		if left == 0 {
			a.retire()
		}
		a.x.post(service.Event{Kind: service.Exited, Attempt: l.Attempt, Exit: service.Exit{Unknown: true}, Left: left})
		return
	}
	if killed {
		p.Signal(9)
	}
	if a.spawn != nil {
		a.heed(p)
	}
	a.wait(p)
}

// watch tells when a client is gone. The pidfd is opened before the start time
// is compared, so that no reuse of the pid can come between.
func (s *Supervisor) watch(c engine.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.watched[c] {
		return
	}
	s.watched[c] = true
	go func() {
		if p, err := findProcess(c.Pid, c.Started); err == nil {
			defer p.Close()
			if !p.gone(s.done) {
				return
			}
		}
		s.mu.Lock()
		delete(s.watched, c)
		s.mu.Unlock()
		select {
		case <-s.done:
		default:
			s.cfg.Post(engine.Input{Gone: &c})
		}
	}()
}

// gone waits until the process has ended; false says that stop came first.
func (p *process) gone(stop <-chan struct{}) bool {
	rc, err := p.pidfd.SyscallConn()
	if err != nil {
		return true
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
			p.pidfd.SetReadDeadline(time.Now())
		case <-ended:
		}
	}()
	return rc.Read(func(fd uintptr) bool { return readable(int(fd)) }) == nil
}
