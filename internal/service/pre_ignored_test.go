package service

import (
	"testing"
	"time"
)

// TestControlUNeverKeepsAServiceDown: RV-12: control/u runs before every start,
// and neither its failure nor that it is missing or hangs (W-RV-2) matters.
func TestControlUNeverKeepsAServiceDown(t *testing.T) {
	manner := Manner{PreIgnored: true, FromStart: true, RetryExec: true}
	for name, pre := range map[string]func(p *play){
		"it fails":      func(p *play) { p.exits(0, 1) },
		"it is missing": func(p *play) { p.event(Event{Kind: SpawnError, NoExec: true}) },
		"nobody saw its end": func(p *play) {
			p.event(Event{Kind: Spawned, Pid: 7})
			p.event(Event{Kind: Exited, Exit: Exit{Unknown: true}})
		},
		"it hangs": func(p *play) {
			p.event(Event{Kind: Spawned, Pid: 7})
			p.now = p.m.Deadline
			p.event(Event{Kind: Timer})
			p.want(Pre, Fresh, "pre")
			p.event(Event{Kind: Exited, Exit: Exit{Signal: "KILL"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, manner)
			p.def.Exec.Post = nil
			p.start()
			pre(p)
			p.want(Starting, Fresh, "pre", "main")
			p.exits(5*time.Second, 1)
			p.want(Rest, Backoff, "pre", "main")
			p.start()
			p.want(Pre, Fresh, "pre", "main", "pre")
		})
	}
	t.Run("a KILL that has no effect", func(t *testing.T) {
		p := newPlay(t, manner)
		p.start()
		p.event(Event{Kind: Spawned, Pid: 7})
		for range 3 {
			p.now = p.m.Deadline
			p.event(Event{Kind: Timer})
		}
		if p.m.State != Stuck {
			t.Errorf("%v, want stuck", p.m.State)
		}
	})
}
