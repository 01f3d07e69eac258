package service

import (
	"fmt"
	"time"
)

type cell func(m *Machine, now time.Duration, d *Definition, e Event) []Effect

// table is the whole machine: what each event does in each state. A nil cell
// cannot happen: Step panics, which a test wants and a daemon turns into a log
// line. `ignore` cells are legal and do nothing.
//
//	start  stop      spawned     spawn error  ready    exit        empty      timer
var table = [States][Events]cell{
	Rest:     {begin, nil, nil, nil, ignore, nil, ignore, nil},
	Pre:      {nil, order, known, fail, ignore, preExit, ignore, preLate},
	Starting: {nil, order, startKnown, fail, ready, startExit, ignore, startLate},
	Up:       {nil, upStop, known, nil, ignore, upExit, ignore, nil},
	Stopping: {nil, nil, stopKnown, stopFail, ignore, stopExit, ignore, kill},
	Sweeping: {nil, nil, nil, nil, ignore, nil, swept, kill},
	Post:     {nil, nil, known, postEnd, ignore, postEnd, ignore, kill},
	Stuck:    {nil, nil, stuckKnown, stuckEnd, ignore, stuckEnd, stuckEmpty, stuckKill},
}

// Step takes one event in and returns what is to be done. It panics on an event
// that cannot happen in the machine's state.
func (m *Machine) Step(now time.Duration, d *Definition, e Event) []Effect {
	c := table[m.State][e.Kind]
	if c == nil {
		panic(fmt.Sprintf("service: %s: %v cannot happen in %v", d.Name, e.Kind, m.State))
	}
	if visited != nil {
		visited(m.State, e.Kind)
	}
	was := m.State
	acts := c(m, now, d, e)
	switch {
	case was != Up && m.State == Up:
		m.UpSince = now
	case was == Up && m.State != Up:
		m.Lived = now - m.UpSince
	}
	return acts
}

// Possible tells whether the event may happen in that state.
func Possible(s State, k EventKind) bool { return table[s][k] != nil }

// visited, where a test sets it, is told of every cell that is used.
var visited func(State, EventKind)

// OnVisit has fn told of every cell that Step uses. For tests.
func OnVisit(fn func(State, EventKind)) { visited = fn }

func ignore(*Machine, time.Duration, *Definition, Event) []Effect { return nil }

// rest

func begin(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	relaunch := m.Why == Backoff
	m.Run++
	m.Exec = d.ExecHash()
	m.Why, m.Adopted = Fresh, false
	m.Since, m.Lived = now, 0
	if len(d.Exec.Pre) > 0 && !(d.Policy.Manner.PreOnce && relaunch) {
		m.State, m.Deadline = Pre, now+d.Policy.PreTimeout
		return m.spawn(CommandPre)
	}
	return m.main(now, d)
}

// pre

func preFailed(d *Definition) Outcome {
	if d.Policy.Manner.PreFinal {
		return NoExec
	}
	return Crash
}

func preExit(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if e.Exit.OK() || d.Policy.Manner.PreIgnored {
		m.noProcess()
		return m.main(now, d)
	}
	if e.Exit.Unknown {
		return m.ended(now, d, Lost)
	}
	return m.ended(now, d, preFailed(d))
}

func preLate(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	if d.Policy.Manner.PreIgnored && !m.Killed { // a script that hangs must not keep the service down
		m.Killed = true
		m.Deadline = now + killPatience
		return m.act(ActKill)
	}
	m.State, m.Outcome = Stopping, preFailed(d)
	m.Killed = true
	m.Deadline = now + killPatience
	return m.act(ActKill)
}

// pre and starting

func known(m *Machine, _ time.Duration, _ *Definition, e Event) []Effect {
	m.Process, m.Pid, m.Started = Known, e.Pid, e.Started
	return nil
}

func fail(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	switch {
	case m.State == Pre && d.Policy.Manner.PreIgnored:
		m.noProcess()
		return m.main(now, d)
	case e.NoExec && !d.Policy.Manner.RetryExec:
		return m.ended(now, d, NoExec)
	case m.Command == CommandPre:
		return m.ended(now, d, preFailed(d))
	}
	return m.ended(now, d, Crash)
}

// order: the plan says stop. What is in flight gets its TERM when it is known.
func order(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	m.State, m.Outcome = Stopping, Ordered
	m.Deadline = patience(now, d)
	if m.Process == Known {
		return m.act(ActTerm)
	}
	return nil
}

// patience is when a stop becomes a KILL; 0 is never.
func patience(now time.Duration, d *Definition) time.Duration {
	if d.Policy.ShutdownTimeout == Never {
		return 0
	}
	return now + d.Policy.ShutdownTimeout
}

// starting

func startKnown(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	known(m, now, d, e)
	m.Since = now
	if d.Exec.Type == Daemon && d.Exec.Ready == ReadyStarted {
		m.State, m.Deadline = Up, 0
	}
	return nil
}

func ready(m *Machine, _ time.Duration, d *Definition, _ Event) []Effect {
	if d.Exec.Type == Daemon { // a oneshot is ready when it has ended well
		m.State, m.Deadline = Up, 0
	}
	return nil
}

func startExit(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if d.Exec.Type == Oneshot && (e.Exit.OK() || e.Exit.Unknown) { // unknown: at most once
		m.noProcess()
		m.State, m.Deadline, m.Fails = Up, 0, 0
		return nil
	}
	return m.ended(now, d, policy(d, e.Exit))
}

func startLate(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	if m.Adopted && d.Exec.Type == Daemon {
		m.State, m.Deadline = Up, 0
		return nil
	}
	m.State, m.Outcome = Stopping, Crash
	m.Deadline = patience(now, d)
	if m.Process == Known {
		return m.act(ActTerm)
	}
	return nil
}

// up

func upStop(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if m.Process != NoProcess {
		return order(m, now, d, e)
	}
	// a completed oneshot
	if len(d.Exec.Stop) > 0 {
		m.State, m.Outcome = Stopping, Ordered
		m.Deadline = patience(now, d)
		return m.spawn(CommandUndo)
	}
	return m.ended(now, d, Ordered)
}

func upExit(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	return m.ended(now, d, policy(d, e.Exit))
}

// stopping

func stopKnown(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	known(m, now, d, e)
	if m.Command == CommandUndo {
		return nil
	}
	m.Deadline = patience(now, d)
	m.Killed = false
	return m.act(ActTerm)
}

func stopFail(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	if m.Command == CommandUndo {
		m.Outcome = Refused
	}
	return m.ended(now, d, m.Outcome)
}

func stopExit(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if m.Command == CommandUndo && !e.Exit.OK() && !e.Exit.Unknown {
		m.Outcome = Refused
	}
	return m.ended(now, d, m.Outcome)
}

// kill: out of patience, here and in sweeping and post. KILL once, and what is
// still there after that is stuck.
func kill(m *Machine, now time.Duration, _ *Definition, _ Event) []Effect {
	if m.Killed {
		m.State = Stuck
	}
	m.Killed = true
	m.Deadline = now + killPatience
	return m.act(ActKill)
}

// sweeping

func swept(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	return m.postOrRest(now, d)
}

// post

func postEnd(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if d.Policy.Manner.PostCounts && m.Outcome == Ordered && (e.Kind == SpawnError || !e.Exit.OK() && !e.Exit.Unknown) {
		m.Outcome = Refused
	}
	return m.rest(now, d)
}

// stuck

func stuckKnown(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	known(m, now, d, e)
	return m.act(ActKill)
}

func stuckEnd(m *Machine, now time.Duration, d *Definition, e Event) []Effect {
	if m.Command == CommandPost {
		return postEnd(m, now, d, e)
	}
	if m.Command == CommandUndo {
		m.Outcome = Refused
	}
	return m.ended(now, d, m.Outcome)
}

func stuckEmpty(m *Machine, now time.Duration, d *Definition, _ Event) []Effect {
	if m.Process == NoProcess { // it was stuck in the sweep
		return m.postOrRest(now, d)
	}
	return nil // the exit itself is still to come
}

func stuckKill(m *Machine, now time.Duration, _ *Definition, _ Event) []Effect {
	m.Deadline = now + stuckInterval
	return m.act(ActKill)
}

// what the cells share

func (m *Machine) act(a Act) []Effect {
	return []Effect{{Act: a, Attempt: m.Attempt, Command: m.Command}}
}

func (m *Machine) spawn(c Command) []Effect {
	m.Attempt++
	m.Command, m.Process, m.Killed = c, InFlight, false
	m.Pid, m.Started = 0, 0
	return m.act(ActSpawn)
}

func (m *Machine) main(now time.Duration, d *Definition) []Effect {
	m.State, m.Deadline = Starting, now+d.Policy.StartTimeout
	if len(d.Exec.Start) == 0 { // pre and stop are all there is to it
		m.State, m.Deadline = Up, 0
		return nil
	}
	return m.spawn(CommandMain)
}

func (m *Machine) noProcess() { m.Process, m.Pid, m.Started = NoProcess, 0, 0 }
