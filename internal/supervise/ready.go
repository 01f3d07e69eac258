package supervise

import (
	"syscall"
	"time"

	"hotsvc/internal/service"
)

// heed waits for a main process to be ready, in the way that its service says.
// With notify, the host hears it; with started, Spawned says it all.
func (a *attempt) heed(p Process) {
	spawn := a.spawn
	a.spawn = nil
	if p.HasReady() {
		go func() {
			if p.Ready() {
				a.ready()
			}
		}()
	}
	if spawn != nil && spawn.Command == service.CommandMain && spawn.Ready == service.ReadyCheck {
		go a.check(spawn)
	}
}

func (a *attempt) ready() {
	a.x.post(service.Event{Kind: service.SaidReady, Attempt: a.tree.Attempt})
}

// check runs the service's check again and again until it exits 0. It runs in
// the service's tree, where a Kill reaches it, but as the daemon.
func (a *attempt) check(spawn *service.Spawn) {
	s := a.x.s
	every := time.Duration(spawn.CheckEvery)
	if every <= 0 {
		every = time.Second
	}
	program := Program{
		Spawn: &service.Spawn{
			Service: spawn.Service, Attempt: spawn.Attempt, Argv: spawn.Check,
			Env: spawn.Env, EnvFile: spawn.EnvFile, Cwd: spawn.Cwd, Umask: -1, Log: "none",
		},
		Key: "check",
	}
	told := false
	for {
		p, err := s.k.Clone(a.tree, program)
		if a.over() { // the KILL may have come too early for this process
			if err == nil {
				p.Signal(syscall.SIGKILL)
				p.Wait()
				p.Close()
			}
			return
		}
		switch {
		case err == nil:
			exit, _ := p.Wait()
			p.Close()
			if exit.OK() && !a.over() {
				a.ready()
				return
			}
		case !told:
			told = true
			s.cfg.Log.Error("check not run", "service", a.x.name, "err", err)
		}
		select {
		case <-time.After(every):
		case <-s.done:
			return
		}
		if a.over() {
			return
		}
	}
}

// over tells whether there is nothing left to be ready.
func (a *attempt) over() bool {
	a.x.s.mu.Lock()
	defer a.x.s.mu.Unlock()
	return a.gone || a.killed || a.x.s.closed
}
