package engine

import (
	"slices"
	"testing"

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
	if i := slices.IndexFunc(effects, func(e Effect) bool { return e.Kind == kind }); i >= 0 {
		return &effects[i]
	}
	return nil
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
