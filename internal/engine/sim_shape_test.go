package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
)

// shape is an episode's configuration as the naive side reads it.
type shape struct {
	names  []string // services and templates
	edges  map[string]*[3][]string
	rules  map[string]simRule
	gates  map[string]service.Gate
	inner  map[string]string // services whose pre requires another
	damped bool
}

type simRule struct {
	link, require        string
	settle, linger, gone time.Duration
	while, unless        bool
}

func (sh *shape) edge(s string, kind int) []string {
	template, instance := service.Split(s)
	e := sh.edges[template]
	if e == nil {
		return nil
	}
	var out []string
	for _, t := range e[kind] {
		out = append(out, strings.ReplaceAll(t, "{instance}", instance))
	}
	return out
}

func (sh *shape) needs(s string) []string { return sh.edge(s, 0) }
func (sh *shape) wants(s string) []string { return sh.edge(s, 1) }
func (sh *shape) after(s string) []string { return sh.edge(s, 2) }

func (sh *shape) def(conf *config.Config, s string) *service.Definition {
	template, _ := service.Split(s)
	return conf.Services[template]
}

// invent makes an episode's configuration.
func invent(r *rand.Rand) (*shape, *config.Config) {
	sh := &shape{edges: map[string]*[3][]string{}, rules: map[string]simRule{}, gates: map[string]service.Gate{}, inner: map[string]string{}}
	sh.damped = r.IntN(6) == 0
	conf := &config.Config{Services: map[string]*service.Definition{}}
	n := 2 + r.IntN(6)
	for i := range n {
		sh.names = append(sh.names, "s"+itoa(i))
	}
	sh.names = append(sh.names, "t@", "u@")
	for i, name := range sh.names {
		e := &[3][]string{}
		sh.edges[name] = e
		for j := range min(i, n) {
			if k := r.IntN(10); k < 3 {
				kind := []int{0, 2, 1}[k]
				e[kind] = append(e[kind], sh.names[j])
			}
		}
		if name == "u@" {
			kind := []int{0, 2}[r.IntN(2)]
			e[kind] = append(e[kind], "t@{instance}")
		}
		conf.Services[name] = inventService(r, sh, name, e)
	}
	lingers := []time.Duration{0, 0, 2 * time.Second, 5 * time.Second}
	add := func(name, link, require string) {
		s := simRule{link: link, require: require, settle: lingers[r.IntN(4)], linger: lingers[r.IntN(4)], gone: lingers[r.IntN(4)] / 2}
		s.while, s.unless = r.IntN(6) == 0, r.IntN(6) == 0
		sh.rules[name] = s
		x := rule.Rule{Name: name, Object: object.Link, Match: match.Must(fmt.Sprintf(`{ name = %q, running = true }`, link)),
			Require: []string{require}, Settle: s.settle, Linger: s.linger, LingerGone: s.gone}
		mounted := rule.Other{Object: object.Mount, Match: match.Must(`{ target = "/data" }`)}
		if s.while {
			x.While = []rule.Other{mounted}
		}
		if s.unless {
			x.Unless = []rule.Other{mounted}
		}
		x.OnBounce.Restart = r.IntN(3) == 0
		if sh.damped {
			x.Damping = &rule.Damping{HalfLife: 3 * time.Second, Suppress: 3, Reuse: 1, Max: 20 * time.Second}
		}
		conf.Rules = append(conf.Rules, x)
	}
	for i := range n {
		add("r"+itoa(i), "l"+itoa(r.IntN(4)), "s"+itoa(i))
	}
	add("rt", "e*", "t@{name}")
	add("ru", "e*", "u@{name}")
	return sh, conf
}

func inventService(r *rand.Rand, sh *shape, name string, e *[3][]string) *service.Definition {
	d := service.New(name)
	d.Exec.Start = []string{"/bin/" + name}
	d.Policy.Needs, d.Policy.Wants, d.Policy.After = e[0], e[1], e[2]
	if r.IntN(5) == 0 {
		d.Exec.Type = service.Oneshot
		if r.IntN(2) == 0 {
			d.Exec.Stop = []string{"undo"}
		}
	} else if r.IntN(3) == 0 {
		d.Exec.Ready = service.ReadyNotify
	}
	if r.IntN(3) == 0 {
		d.Exec.Pre = []string{"pre"}
		if r.IntN(3) == 0 && name[0] == 's' {
			if t := sh.names[r.IntN(len(sh.names)-2)]; t != name {
				sh.inner[name] = t
			}
		}
	}
	if r.IntN(3) == 0 {
		d.Exec.Post = []string{"post"}
	}
	d.Policy.Restart = []service.Restart{service.RestartAlways, service.RestartAlways, service.RestartOnFailure, service.RestartNever}[r.IntN(4)]
	d.Policy.GiveUpFailures = []int{0, 0, 2, 5}[r.IntN(4)]
	if r.IntN(6) == 0 {
		g := service.Gate{Object: object.Mount, Match: match.Must(`{ target = "/data" }`), Text: "mount /data",
			Once: r.IntN(3) == 0, Absent: r.IntN(3) == 0, Linger: time.Duration(r.IntN(2)) * 2 * time.Second}
		d.Policy.Gates = []service.Gate{g}
		sh.gates[name] = g
		if strings.HasSuffix(name, "@") {
			d.Policy.Gates = nil // the naive side knows gates of plain services
			delete(sh.gates, name)
		}
	}
	return &d
}
