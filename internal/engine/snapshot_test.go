package engine

import (
	"slices"
	"testing"

	"hotsvc/internal/service"
)

// A daemon has taken over a service that nothing holds yet, and not every source
// has told. Who goes on from a snapshot of that moment stops it as little.
func TestSnapshotKnowsWhatNobodyHoldsYet(t *testing.T) {
	s := newStory(t, map[string]string{"services/b.toml": "exec_start = ['b']"})
	c := New(Options{Sources: []string{"link", "mount"}}, s.config("", nil), s.clock())
	c.Restore(nil, nil, map[string]Live{"b": {Attempt: 3, Command: service.CommandMain, Pid: 7, Started: 70}})
	c.Step(s.clock(), nil)
	other, err := Resume(c.opt, c.conf, c.Snapshot(), s.clock())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Core{"the daemon": c, "who goes on": other} {
		effects, _ := c.Step(s.clock(), []Input{{Report: fuzzLink(true)}})
		if slices.ContainsFunc(effects, func(e Effect) bool { return e.Kind == EffectTerm }) || c.Units["b"].Machine.State != service.Up {
			t.Errorf("%s stops it: %v", name, effects)
		}
	}
}

// The record of an instance is damaged, and what was forgotten since had higher
// numbers than its attempt that runs: that attempt is still heard.
func TestDamagedRecordOfAnOldAttempt(t *testing.T) {
	s := newStory(t, map[string]string{"services/t@.toml": "exec_start = ['t']"})
	c := New(Options{Sources: []string{"link"}}, s.config("", nil), s.clock())
	c.Restore(map[string][]byte{"t@x": []byte("{")}, []byte(`{"v":1,"attempts":7}`), map[string]Live{"t@x": {Attempt: 5, Command: service.CommandMain, Pid: 7, Started: 70}})
	c.Step(s.clock(), []Input{{Process: &ProcessEvent{Service: "t@x", Event: service.Event{Kind: service.Exited, Attempt: 5}}}})
	if u := c.Units["t@x"]; u != nil && u.Machine.State == service.Up {
		t.Error("its end is not heard")
	}
}
