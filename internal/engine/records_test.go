package engine

import (
	"slices"
	"testing"
	"time"

	"hotsvc/internal/service"
)

// restored is the core of one service, "a", after what an earlier daemon left.
func restored(t *testing.T, definition string, records map[string][]byte, live map[string]Live) (*story, *Core) {
	s := newStory(t, map[string]string{"services/a.toml": definition})
	c := New(Options{}, s.config("", nil), s.clock())
	c.Restore(records, nil, live)
	return s, c
}

// of finds the effect of a kind among those of a Step.
func of(kind EffectKind, effects []Effect) *Effect {
	if i := at(kind, effects); i >= 0 {
		return &effects[i]
	}
	return nil
}

func at(kind EffectKind, effects []Effect) int {
	return slices.IndexFunc(effects, func(e Effect) bool { return e.Kind == kind })
}

func told(effects []Effect) (lines []string) {
	for i := range effects {
		lines = append(lines, describeEffect(&effects[i]))
	}
	return lines
}

func news(attempt int64, kind service.EventKind) Input {
	return processEvent("a", service.Event{Kind: kind, Attempt: attempt, Pid: 7, Started: 70})
}

// A record was damaged, and its service ran a second time beside what the first
// run had left behind.
func TestLeftoversOfADamagedRecordEndBeforeANewRun(t *testing.T) {
	s, c := restored(t, "exec_start = ['a']\nstart_at_boot = true", map[string][]byte{"a": []byte("{")}, map[string]Live{"a": {Attempt: 7}})
	effects, _ := c.Step(s.clock(), nil)
	if e := of(EffectSweep, effects); e == nil || e.Attempt != 7 || !e.KillAll {
		t.Errorf("the leftovers of attempt 7 are not ended: %q", told(effects))
	}
	if e := of(EffectSpawn, effects); e != nil {
		t.Errorf("attempt %d begins beside them", e.Attempt)
	}
	effects, _ = c.Step(s.clock(), []Input{news(7, service.Empty)})
	if e := of(EffectSpawn, effects); e == nil || e.Attempt != 8 {
		t.Errorf("after their end: %q, want attempt 8", told(effects))
	}
}

// What an instance ran at its end had left a process behind, and the note of that
// outlived the instance: each next daemon ran it again.
func TestEndOfAForgottenInstanceIsNoNews(t *testing.T) {
	for _, left := range []bool{false, true} {
		s := newStory(t, map[string]string{"services/m@.toml": "exec_start = ['m']\nexec_stop_post = ['post']"})
		c := New(Options{}, s.config("", nil), s.clock())
		c.Restore(nil, []byte(`{"v":1,"attempts":7}`), map[string]Live{"m@x": {Attempt: 7, Command: service.CommandPost, Left: left}})
		effects, _ := c.Step(s.clock(), nil)
		if of(EffectSpawn, effects) != nil || of(EffectSweep, effects) != nil { // it ends once more
			t.Errorf("left %v: %q", left, told(effects))
		}
		what := EffectRetire
		if left {
			what = EffectKill
		}
		if e := of(what, effects); e == nil || e.Attempt != 7 {
			t.Errorf("left %v: what it left is not seen to: %q", left, told(effects))
		}
	}
}

// What an instance runs at its end is over, and the instance is forgotten: the note
// of it goes last, else the record alone would have the next daemon run it again.
func TestNoteGoesAfterTheRecord(t *testing.T) {
	s := newStory(t, map[string]string{"services/m@.toml": "exec_start = ['m']\nexec_stop_post = ['post']"})
	c := New(Options{}, s.config("", nil), s.clock())
	call := func(v Verb, id int64) Input {
		return Input{Call: &Call{ID: id, Verb: v, Services: []string{"m@x"}, NoWait: true}}
	}
	m := func(attempt int64, kind service.EventKind) Input {
		return processEvent("m@x", service.Event{Kind: kind, Attempt: attempt, Pid: 7, Started: 70})
	}
	var effects []Effect
	for _, in := range [][]Input{
		{call(VerbRequire, 1)}, {m(1, service.Spawned)}, {call(VerbRelease, 2)}, {m(1, service.Exited)}, {m(1, service.Empty)},
		{m(2, service.Spawned), m(2, service.Exited)},
	} {
		effects, _ = c.Step(s.clock(), in)
	}
	if forget, retire := at(EffectForget, effects), at(EffectRetire, effects); forget < 0 || retire < forget {
		t.Errorf("%q", told(effects))
	}
}

// A process that held died while no daemon looked. The next daemon heard of its
// end after another process, which has its pid, asked for the same: that one ran
// on, and its service was stopped under it.
func TestHoldOfAProcessWithAnOldPidIsItsOwn(t *testing.T) {
	was, is := Client{Pid: 500, Started: 1}, Client{Pid: 500, Started: 2}
	hold := func(id int64, by Client) Input {
		return Input{Call: &Call{ID: id, Verb: VerbHold, Services: []string{"a"}, Timeout: time.Minute, Peer: Peer{Client: by}}}
	}
	s, c := restored(t, "exec_start = ['a']", nil, nil)
	c.Step(s.clock(), []Input{hold(1, was)})
	s, c = restored(t, "exec_start = ['a']", map[string][]byte{"a": c.Units["a"].record()}, nil)
	effects, _ := c.Step(s.clock(), []Input{hold(2, is)})
	if !slices.ContainsFunc(effects, func(e Effect) bool { return e.Kind == EffectWatch && *e.Client == is }) {
		t.Errorf("nobody looks at the process that holds now: %q", told(effects))
	}
	c.Step(s.clock(), []Input{{Gone: &was}})
	if h := c.Units["a"].heldBy("pid:500"); h == nil || h.Client != is.Started {
		t.Errorf("held by %+v, want process 500 that started at 2", h)
	}
	c.Step(s.clock(), []Input{{Hangup: 2}})
	if h := c.Units["a"].heldBy("pid:500"); h != nil {
		t.Errorf("the caller gave up, and %+v is left", h)
	}
}

// Somebody required a service that was not ready yet, and the daemon was replaced:
// the call failed, but its hold stayed, and who asked again held twice.
func TestRequireThatWasNotAnsweredLeavesNoHold(t *testing.T) {
	const definition = "exec_start = ['a']\nready = 'notify'"
	require := func(id int64) Input {
		return Input{Call: &Call{ID: id, Verb: VerbRequire, Services: []string{"a"}, Timeout: time.Minute}}
	}
	held := func(c *Core) int { return c.Units["a"].required("uid:0") }
	reborn := func(c *Core) *Core {
		_, c = restored(t, definition, map[string][]byte{"a": c.Units["a"].record()}, nil)
		return c
	}
	s, c := restored(t, definition, nil, nil)
	c.Step(s.clock(), []Input{require(1)})
	if n := held(reborn(c)); n != 0 {
		t.Errorf("it is held %d times by a call that failed", n)
	}
	effects, _ := c.Step(s.clock(), []Input{news(1, service.Spawned), news(1, service.SaidReady)})
	if of(EffectReply, effects) == nil || of(EffectSave, effects) == nil {
		t.Fatalf("no answer, or none that is on disk before: %q", told(effects))
	}
	if n := held(reborn(c)); n != 1 {
		t.Errorf("answered, it is held %d times", n)
	}
	c.Step(s.clock(), []Input{require(2)})
	c.Step(s.clock(), []Input{news(1, service.Exited), require(3), {Hangup: 3}})
	if n := held(reborn(c)); n != 1+1 {
		t.Errorf("two are answered and one has hung up: it is held %d times", n)
	}
	notWaited := require(4)
	notWaited.Call.NoWait = true
	c.Step(s.clock(), []Input{notWaited, {Hangup: 4}, {Call: &Call{Verb: VerbRelease, Services: []string{"a"}, NoWait: true}}})
	if n := held(reborn(c)); n != 2 {
		t.Errorf("granted at once, and one released: it is held %d times", n)
	}
	c.Step(s.clock(), []Input{require(5)})
	if n := held(reborn(c)); n != 2 {
		t.Errorf("two are answered and one waits: it is held %d times", n)
	}
}
