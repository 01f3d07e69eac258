package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
)

// once is `sv o`: what runs is left to its end, what rests runs one time more.
// A service that says so itself (runit's one-shot: its first line is `sv o .`)
// is not run again for it, not even when its word comes after its end.
func (c *Core) once(call *Call, u *Unit) {
	if u.overtaken(&call.Peer) {
		return
	}
	by := call.Peer.name()
	if u.Cap.Kind == "" || u.Cap.Kind == hold.CapStop {
		u.Cap = hold.Cap{Kind: hold.CapOnce, By: by, Since: c.now.Wall}
	}
	if !u.Machine.Active() && call.Peer.Service != u.Name && u.Cap.Kind == hold.CapOnce {
		u.Owed = true
		u.Pardon = c.next()
	}
	c.touched(u, "to run once, says "+by)
	c.onceOver(u)
}

// overtaken tells whether a word comes from a run of the service's that is over,
// and since then another was asked for or has begun: that one is not to suffer.
func (u *Unit) overtaken(by *Peer) bool {
	m := &u.Machine
	last := m.Attempt // of a main process
	if m.Command == service.CommandPost {
		last--
	}
	switch {
	case by.Service != u.Name:
		return false
	case by.Attempt != 0 && by.Attempt < last:
		return true
	case m.Process != service.NoProcess && (by.Attempt == 0 || by.Attempt == m.Attempt):
		return false
	}
	return m.Active() || u.Pardon > u.Latch
}

// onceOver makes a stop of a once-run that is over, if anything would start the
// service again.
func (c *Core) onceOver(u *Unit) {
	if u.Cap.Kind != hold.CapOnce || u.Owed || u.Machine.State != service.Rest {
		return
	}
	if !c.heldUp(u) {
		u.Cap = hold.Cap{}
		return
	}
	u.Cap.Kind, u.Cap.Ran = hold.CapStop, true
	c.behind(u, &u.Cap.Gone, map[*Unit]bool{})
}

// exit is `sv x`: what people said of a service is forgotten, and its run ends.
// What holds it otherwise starts it anew.
func (c *Core) exit(u *Unit, by string) {
	u.Holds = slices.DeleteFunc(u.Holds, isAdmin)
	u.Gen++
	u.Pardon = c.next()
	c.lift(u, by+" told it to exit")
}

func isAdmin(h hold.Hold) bool { return h.Holder == hold.Admin }

// capText says what a cap did, for people.
func capText(c *hold.Cap) string {
	switch {
	case c.Kind == hold.CapOnce:
		return "to run once, as asked by " + c.By
	case c.Ran:
		return "ran once, as asked by " + c.By
	case c.Kind == hold.CapStop:
		return "stopped by " + c.By
	}
	return "blocked by " + c.By
}

// signalLetters are sv's letters for signals, by which control/ scripts are named.
var signalLetters = map[string]string{
	"TERM": "t", "KILL": "k", "STOP": "p", "CONT": "c", "HUP": "h", "ALRM": "a", "INT": "i", "QUIT": "q", "USR1": "1", "USR2": "2",
}

// signal sends one to a service's main process. It is no stop: what ends by it
// is as if it had ended by itself.
func (c *Core) signal(call *Call, u *Unit) string {
	m := &u.Machine
	if _, ok := rule.Signal(call.Signal); !ok || strings.HasPrefix(call.Signal, "SIG") {
		return fmt.Sprintf("there is no signal %q: write TERM, HUP, …", call.Signal)
	}
	if m.Process != service.Known || m.Command != service.CommandMain {
		return u.Name + " is not running: it was sent nothing"
	}
	e := Effect{Kind: EffectSignal, Service: u.Name, Attempt: m.Attempt, Signal: call.Signal}
	c.controlled(u, &e, signalLetters[call.Signal])
	c.emit(e)
	switch call.Signal {
	case "STOP":
		u.Paused = true
	case "CONT":
		u.Paused = false
	case "TERM":
		u.Termed = true
	}
	u.dirty = true
	return ""
}

// controlled puts the service's own script in front of a signal, where it has
// one: if the script succeeds the signal is not sent.
func (c *Core) controlled(u *Unit, e *Effect, letter string) {
	if s := c.control(u, letter); s != nil {
		e.Spawn, e.Instead = s, true
	}
}

// control makes the order to run a service's control/ script, or nil.
func (c *Core) control(u *Unit, letter string) *service.Spawn {
	script := u.eff.Policy.Manner.ControlScript(letter)
	if script == "" {
		return nil
	}
	x := &u.Run.Exec
	s := &service.Spawn{Service: u.Name, Attempt: u.Machine.Attempt, Command: service.CommandUndo, Argv: []string{script}, Umask: -1, Log: x.Log, LogFile: u.eff.Policy.LogFile, Cwd: "/"}
	s.Env = u.env(&c.opt)
	if cwd, err := service.ReplaceWords([]string{x.Cwd}, u.word); err == nil && cwd[0] != "" {
		s.Cwd = cwd[0]
	}
	return s
}

// ending gives exec_stop_post, beside the usual words, how the run ended, as
// runit's finish has it: {code} is -1 for what was killed, {signal} 0 for what
// was not.
func (u *Unit) ending(name string) (string, bool) {
	code, signal := "-1", "0"
	switch x := u.Exit; {
	case x == nil || x.Unknown:
	case x.What == "spawn":
		code = "111"
	case x.Signal != "":
		signal = strconv.Itoa(x.Number)
	default:
		code = strconv.Itoa(x.Code)
	}
	switch name {
	case "code":
		return code, true
	case "signal":
		return signal, true
	}
	return u.word(name)
}
