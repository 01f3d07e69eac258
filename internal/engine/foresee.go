package engine

import (
	"maps"
	"slices"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/service"
)

// Foreseen is an effect that would start or end something, and why.
type Foreseen struct {
	Effect
	At     time.Duration // monotonic
	Reason string
}

// Foresee says what a configuration would start and end, in order. same and
// other stand at the same place, and are one's own, resumed from a snapshot:
// other goes on with the configuration, and what becomes of a service in same,
// which goes on without it, is not what the configuration does.
func Foresee(now Now, same, other *Core, conf *config.Config) []Foreseen {
	as := byService(same.ahead(now, nil))
	all := other.ahead(now, []Input{{Config: conf}})
	would := byService(all)
	maps.DeleteFunc(would, func(name string, does []Foreseen) bool { return slices.EqualFunc(does, as[name], alike) })
	return slices.DeleteFunc(all, func(f Foreseen) bool { return would[f.Service] == nil })
}

func byService(all []Foreseen) map[string][]Foreseen {
	of := map[string][]Foreseen{}
	for _, f := range all {
		of[f.Service] = append(of[f.Service], f)
	}
	return of
}

func alike(a, b Foreseen) bool { return a.Kind == b.Kind && a.Command == b.Command && a.At == b.At }

// ahead lets a core go on for a while in a world where every command does at
// once what it is for.
func (c *Core) ahead(now Now, in []Input) []Foreseen {
	var all []Foreseen
	end := now.Mono + foreseeTime
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
			// Now, for an instance that has stopped is forgotten.
			all = append(all, Foreseen{e, now.Mono, c.serviceReport(u).Reason})
		}
		switch {
		case len(in) > 0:
		case wake > 0 && wake <= end: // a settle, a linger, a backoff
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
