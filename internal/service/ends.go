package service

import (
	"cmp"
	"time"
)

// How runs end: what the cells of the table share.

// ended: the process of this run is gone. Whatever it left behind goes first;
// the executor answers Empty, at once where nothing is left.
func (m *Machine) ended(now time.Duration, d *Definition, o Outcome) []Effect {
	m.noProcess()
	m.State, m.Outcome = Sweeping, o
	m.Killed = false
	m.Deadline = cmp.Or(patience(now, d), now+killPatience) // what is left over is no reason to wait for ever
	return m.act(ActSweep)
}

func (m *Machine) postOrRest(now time.Duration, d *Definition) []Effect {
	if len(d.Exec.Post) > 0 && (m.Outcome == Ordered || !d.Policy.Manner.PostOnStop) {
		m.State, m.Deadline = Post, now+postTime(d)
		return m.spawn(CommandPost)
	}
	return m.rest(now, d)
}

func postTime(d *Definition) time.Duration { return cmp.Or(d.Policy.Manner.PostTimeout, postTimeout) }

// rest is where every run ends, and where its outcome becomes a reason.
func (m *Machine) rest(now time.Duration, d *Definition) []Effect {
	m.noProcess()
	m.State, m.Deadline, m.Adopted = Rest, 0, false
	switch m.Outcome {
	case Ordered, Lost:
		m.Why = Fresh
	case Clean:
		m.Why, m.Fails = Done, 0
	case NoExec, Refused:
		m.Why = Failed
	case Crash:
		m.crashed(now, d)
	}
	return nil
}

func (m *Machine) crashed(now time.Duration, d *Definition) {
	p := &d.Policy
	if m.Lived >= p.ResetAfter {
		m.Fails = 0
	}
	m.Fails++
	m.Failures = append(m.Failures, now)
	if extra := len(m.Failures) - p.GiveUpFailures; extra > 0 {
		m.Failures = append([]time.Duration(nil), m.Failures[extra:]...)
	}
	from := now
	if p.Manner.FromStart {
		from = m.Since
	}
	m.Why, m.NotBefore = Backoff, from+backoff(p, m.Fails)
	n := p.GiveUpFailures
	if n > 0 && len(m.Failures) == n && now-m.Failures[0] <= p.GiveUpWithin || p.Restart == RestartNever {
		m.Why = Failed
	}
}

// backoff doubles from first to max.
func backoff(p *Policy, fails int) time.Duration {
	wait := p.BackoffFirst
	for range fails - 1 {
		if wait >= p.BackoffMax/2 {
			return max(p.BackoffMax, p.BackoffFirst)
		}
		wait *= 2
	}
	return wait
}

// Forgive wipes what an earlier hold's failures left: a newer hold exists.
func (m *Machine) Forgive() {
	m.Why, m.Fails, m.Failures, m.NotBefore = Fresh, 0, nil, 0
}

// Relent takes an undo that was refused as not said, so that the next stop says
// it again: what exec_stop could not undo still stands.
func (m *Machine) Relent() {
	if m.State == Rest && m.Why == Failed && m.Outcome == Refused {
		m.State, m.Why = Up, Fresh
	}
}

// policy says how an end that nobody ordered counts. `always` on a oneshot
// means on-failure: a oneshot that ended well is up.
func policy(d *Definition, x Exit) Outcome {
	switch {
	case x.Unknown:
		return Lost
	case !x.OK():
		return Crash
	case d.Policy.Restart == RestartAlways && d.Exec.Type == Daemon:
		return Crash
	}
	return Clean
}
