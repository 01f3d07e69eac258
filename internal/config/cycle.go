package config

import (
	"slices"
	"strings"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// cycles reports every reference that closes a circle of needs and after.
//
// Templates are followed per instance: an empty one, which nobody can name, stands
// for whichever, and those that somebody names are followed by that name. So
// dhcp@ after supplicant@{instance} is no circle, and port@ after port@eth0 is
// one, of port@eth0.
func (b *builder) cycles(p *toml.Problems) {
	w := walk{services: b.services, done: map[string]bool{}, problems: p}
	for _, name := range sortedNames(b.services) {
		w.visit(name)
	}
}

// maxRepeat bounds how often one template may stand in a chain: names that grow
// with every step, a@x after a@xx, would never come round.
const maxRepeat = 8

type walk struct {
	services map[string]*service.Definition
	done     map[string]bool // visited, and no circle goes through it unreported
	chain    []string        // the services from the root to here
	reported []toml.Pos
	problems *toml.Problems
}

func (w *walk) visit(name string) {
	if w.done[name] {
		return
	}
	template, instance := service.Split(name)
	def := w.services[template]
	if def == nil {
		return
	}
	w.chain = append(w.chain, name)
	for _, ref := range def.Refs {
		if ref.Key == "wants" || slices.Contains(w.reported, ref.Pos) {
			continue
		}
		next := strings.ReplaceAll(ref.Name, "{instance}", instance)
		if at := slices.Index(w.chain, next); at >= 0 {
			w.report(ref, "closes a circle", append(slices.Clone(w.chain[at:]), next))
		} else if w.repeats(next) >= maxRepeat {
			w.report(ref, "never ends", []string{name, next, "…"})
		} else {
			w.visit(next)
		}
	}
	w.chain = w.chain[:len(w.chain)-1]
	w.done[name] = true
}

func (w *walk) repeats(name string) (n int) {
	template, _ := service.Split(name)
	for _, c := range w.chain {
		if t, _ := service.Split(c); t == template {
			n++
		}
	}
	return n
}

func (w *walk) report(ref service.Ref, what string, circle []string) {
	w.reported = append(w.reported, ref.Pos)
	w.problems.Errorf(ref.Pos, "%s: %s %s: %s", ref.Key, toml.Quote(ref.Name), what, strings.Join(circle, " → "))
}
