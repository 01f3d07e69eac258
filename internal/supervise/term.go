package supervise

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// signal carries out Term and Signal.
func (a *attempt) signal(e engine.Effect) {
	s := a.x.s
	select {
	case <-a.started:
	case <-s.done:
		return
	}
	instead := false
	if e.Spawn != nil && a.main() != nil {
		instead = a.assist(e.Spawn) && e.Instead
	}
	if e.Kind == engine.EffectTerm {
		a.endInput()
	}
	p := a.main()
	sig, ok := signalNumber(e.Signal)
	if p == nil || !ok {
		return
	}
	if instead {
		sig = 0 // the script has seen to it
	}
	if err := p.Signal(sig); err != nil && err != unix.ESRCH {
		s.cfg.Log.Error("signal not delivered", "service", a.x.name, "signal", e.Signal, "err", err)
	}
	if e.Kind == engine.EffectTerm {
		p.Signal(unix.SIGCONT) // what is stopped would not hear it
	}
	if e.After != nil {
		a.assist(e.After)
	}
}

// inputPatience is how long a service that reads another's output has for what
// is left of it, once that one is gone.
const inputPatience = time.Second

// endInput closes what keeps the input of such a service open. It ends by itself
// when it has read all, and needs no signal then.
func (a *attempt) endInput() {
	s := a.x.s
	if s.host == nil || !s.host.outputs.end(a.x.name) {
		return
	}
	for deadline := time.Now().Add(inputPatience); a.main() != nil && time.Now().Before(deadline); {
		s.k.AwaitTree(a.tree, 10*time.Millisecond)
	}
}

// main is the main process while it lives.
func (a *attempt) main() Process {
	a.x.s.mu.Lock()
	defer a.x.s.mu.Unlock()
	if a.gone {
		return nil
	}
	return a.proc
}

// assist runs what helps to stop or signal a daemon, its exec_stop or a control/
// script, in the daemon's own tree, so that a Kill reaches it too. It tells
// whether that succeeded.
func (a *attempt) assist(spawn *service.Spawn) bool {
	s := a.x.s
	p, err := s.k.Clone(a.tree, Program{Spawn: spawn, Key: "exec_stop"})
	if err != nil {
		s.cfg.Log.Error("not run", "service", a.x.name, "command", spawn.Argv[0], "err", err)
		return false
	}
	defer p.Close()
	s.mu.Lock()
	killed := a.killed
	a.stopper = p
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		a.stopper = nil
		s.mu.Unlock()
	}()
	if killed {
		s.signalTree(a.tree, syscall.SIGKILL)
	}
	exit, ok := p.Wait()
	if ok && !exit.OK() {
		s.cfg.Log.Info("failed", "service", a.x.name, "command", spawn.Argv[0], "exit", exit.String())
	}
	return ok && exit.OK()
}

func signalNumber(name string) (syscall.Signal, bool) {
	if name == "" {
		return 0, false
	}
	sig := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG"))
	return sig, sig != 0
}
