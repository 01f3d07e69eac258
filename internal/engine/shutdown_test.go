package engine

import (
	"testing"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/service"
)

// TestShutdownEnds: a service of runit's that ignores TERM is never killed by a
// stop, but the end of the daemon does not wait for it for ever.
func TestShutdownEnds(t *testing.T) {
	def := service.New("deaf")
	def.Exec.Start = []string{"/run"}
	def.Policy.StartAtBoot, def.Policy.ShutdownTimeout, def.Policy.KillMode = true, service.Never, service.KillMain
	now := Now{Mono: time.Hour}
	c := New(Options{}, &config.Config{Services: map[string]*service.Definition{"deaf": &def}}, now)
	c.Step(now, nil)
	told := func(k service.EventKind) Input {
		return Input{Process: &ProcessEvent{Service: "deaf", Event: service.Event{Kind: k, Attempt: 1, Pid: 7}}}
	}
	c.Step(now, []Input{told(service.Spawned)})
	if _, wake := c.Step(now, []Input{{Call: &Call{ID: 1, Verb: VerbStop, Services: []string{"deaf"}, NoWait: true}}}); wake != 0 {
		t.Errorf("a stop is looked at again at %v: it has no end", wake)
	}
	_, wake := c.Step(now, []Input{{Call: &Call{ID: 2, Verb: VerbShutdown, Timeout: -1}}})
	if wake != now.Mono+lastPatience {
		t.Fatalf("the end is looked at again at %v, want %v", wake, now.Mono+lastPatience)
	}
	effects, _ := c.Step(Now{Mono: wake}, nil)
	for _, e := range effects {
		if e.Kind == EffectKill {
			return
		}
	}
	t.Error("nothing is killed")
}
