package engine

import (
	"slices"
	"testing"
	"time"

	"hotsvc/internal/service"
)

// Of two services one may start at a time. The first one's exec_start_pre asks
// for the second and waits: it must not wait for ever.
func TestWhoWaitsGivesItsSlotAway(t *testing.T) {
	s := newStory(t, map[string]string{
		"services/a.toml": "exec_start = ['a']\nexec_start_pre = ['hsctl', 'require', 'b']\nstart_at_boot = true",
		"services/b.toml": "exec_start = ['b']",
	})
	c := New(Options{Slots: 1}, s.config("", nil), s.clock())
	c.Step(s.clock(), nil)
	spawned := Input{Process: &ProcessEvent{Service: "a", Event: service.Event{Kind: service.Spawned, Attempt: 1, Pid: 7}}}
	from := Peer{Service: "a", Attempt: 1, Client: Client{Pid: 8, Started: 80}}
	effects, _ := c.Step(s.clock(), []Input{spawned, {Call: &Call{ID: 1, Verb: VerbRequire, Services: []string{"b"}, Timeout: time.Minute, Peer: from}}})
	if !slices.ContainsFunc(effects, func(e Effect) bool { return e.Kind == EffectSpawn && e.Service == "b" }) {
		t.Errorf("b is not started: %v", effects)
	}
}
