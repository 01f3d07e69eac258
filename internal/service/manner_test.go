package service

import (
	"slices"
	"testing"
	"time"
)

// play steps a machine through events and returns the commands it spawned.
type play struct {
	t   *testing.T
	m   Machine
	def Definition
	now time.Duration
	ran []string
}

func newPlay(t *testing.T, manner Manner) *play {
	p := &play{t: t, def: New("x"), now: time.Hour}
	p.def.Exec.Start, p.def.Exec.Pre, p.def.Exec.Post = []string{"/run"}, []string{"/pre"}, []string{"/post"}
	p.def.Policy.BackoffFirst, p.def.Policy.BackoffMax = 10*time.Second, 10*time.Second
	p.def.Policy.Manner = manner
	return p
}

// event steps, and answers every sweep with empty.
func (p *play) event(e Event) {
	e.Attempt = p.m.Attempt
	for _, a := range p.m.Step(p.now, &p.def, e) {
		switch a.Act {
		case ActSpawn:
			p.ran = append(p.ran, a.Command.String())
		case ActSweep:
			p.event(Event{Kind: Empty})
		}
	}
}

func (p *play) start() { p.event(Event{Kind: Start}) }

// exits lets the present command start, live for a time, and end.
func (p *play) exits(after time.Duration, code int) {
	if p.m.Process == InFlight {
		p.event(Event{Kind: Spawned, Pid: 7})
	}
	p.now += after
	p.event(Event{Kind: Exited, Exit: Exit{Code: code}})
}

func (p *play) want(state State, why Why, ran ...string) {
	p.t.Helper()
	if p.m.State != state || p.m.Why != why || !slices.Equal(p.ran, ran) {
		p.t.Errorf("%v %v after %q, want %v %v after %q", p.m.State, p.m.Why, p.ran, state, why, ran)
	}
}

// TestBackhandManner: BH-11, BH-23, BH-45: pre once, post only when stopped,
// and a relaunch ten seconds after the launch.
func TestBackhandManner(t *testing.T) {
	backhand := Manner{PreOnce: true, PreFinal: true, PostOnStop: true, PostCounts: true, FromStart: true}
	t.Run("a crash is a relaunch", func(t *testing.T) {
		p := newPlay(t, backhand)
		p.start()
		p.exits(0, 0)
		began := p.now
		p.exits(3*time.Second, 1)
		p.want(Rest, Backoff, "pre", "main")
		if p.m.NotBefore != began+10*time.Second {
			t.Errorf("the next launch is %v after the last, want 10 s", p.m.NotBefore-began)
		}
		p.start()
		p.want(Starting, Fresh, "pre", "main", "main")
		p.event(Event{Kind: Spawned, Pid: 8})
		p.event(Event{Kind: Stop})
		p.exits(time.Second, 0)
		p.exits(0, 0)
		p.want(Rest, Fresh, "pre", "main", "main", "post")
	})
	t.Run("a pre that fails is failed", func(t *testing.T) {
		p := newPlay(t, backhand)
		p.start()
		p.exits(0, 1)
		p.want(Rest, Failed, "pre")
	})
	t.Run("so is one that takes too long", func(t *testing.T) {
		p := newPlay(t, backhand)
		p.start()
		p.event(Event{Kind: Spawned, Pid: 7})
		p.now += 10 * time.Second
		p.event(Event{Kind: Timer})
		p.event(Event{Kind: Exited, Exit: Exit{Signal: "KILL"}})
		p.want(Rest, Failed, "pre")
	})
	t.Run("a post that fails makes the stop fail", func(t *testing.T) {
		p := newPlay(t, backhand)
		p.start()
		p.exits(0, 0)
		p.event(Event{Kind: Spawned, Pid: 8})
		p.event(Event{Kind: Stop})
		p.exits(time.Second, 0)
		p.exits(0, 3)
		p.want(Rest, Failed, "pre", "main", "post")
		if p.m.Outcome != Refused {
			t.Errorf("the stop is %v, want refused", p.m.Outcome)
		}
	})
}

// TestRunitManner: RV-13, RV-14: finish after every end, also of what cannot be
// executed, which is tried again; a run that lived for a second is followed at
// once; a stop never becomes a KILL.
func TestRunitManner(t *testing.T) {
	p := newPlay(t, Manner{FromStart: true, RetryExec: true, PostTimeout: time.Minute})
	p.def.Exec.Pre, p.def.Policy.ShutdownTimeout = nil, Never
	p.def.Policy.BackoffFirst, p.def.Policy.BackoffMax = time.Second, time.Second
	p.start()
	p.event(Event{Kind: SpawnError, NoExec: true})
	p.exits(0, 0)
	p.want(Rest, Backoff, "main", "post")
	p.start()
	p.exits(5*time.Second, 1)
	p.exits(0, 0)
	p.want(Rest, Backoff, "main", "post", "main", "post")
	if p.m.NotBefore > p.now {
		t.Errorf("it lived for 5 s, and the next run waits for %v", p.m.NotBefore-p.now)
	}
	p.start()
	p.event(Event{Kind: Spawned, Pid: 9})
	p.event(Event{Kind: Stop})
	if p.m.State != Stopping || p.m.Deadline != 0 {
		t.Errorf("%v until %v, want stopping without end", p.m.State, p.m.Deadline)
	}
}
