package engine

import (
	"time"

	"hotsvc/internal/service"
)

// Foresee lets a core go on in a world where every command does at once what it
// is for, and returns the effects that start or end something, in order. It is
// for a core of one's own, resumed from a snapshot.
func (c *Core) Foresee(now Now, in []Input) []Effect {
	var all []Effect
	for range foreseeSteps {
		effects, wake := c.Step(now, in)
		in = nil
		for _, e := range effects {
			u := c.Units[e.Service]
			if u == nil {
				continue
			}
			tell := func(events ...service.Event) {
				for _, ev := range events {
					ev.Attempt = e.Attempt
					in = append(in, Input{Process: &ProcessEvent{Service: e.Service, Event: ev}})
				}
			}
			switch e.Kind {
			case EffectSpawn:
				tell(service.Event{Kind: service.Spawned, Pid: 1})
				if e.Command != service.CommandMain || u.eff.Exec.Type == service.Oneshot {
					tell(service.Event{Kind: service.Exited})
				} else {
					tell(service.Event{Kind: service.SaidReady})
				}
			case EffectTerm, EffectKill:
				tell(service.Event{Kind: service.Exited, Exit: service.Exit{Signal: "TERM"}}, service.Event{Kind: service.Empty})
			case EffectSweep:
				tell(service.Event{Kind: service.Empty})
			default:
				continue
			}
			all = append(all, e)
		}
		switch {
		case len(in) > 0:
		case wake > 0 && wake-now.Mono < foreseeTime: // a settle, a linger, a backoff
			now.Wall = now.Wall.Add(wake - now.Mono)
			now.Mono = wake
		default:
			return all
		}
	}
	return all
}

// How far is looked ahead.
const (
	foreseeSteps = 10_000
	foreseeTime  = time.Minute
)
