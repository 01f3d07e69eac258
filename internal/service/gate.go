package service

import (
	"slices"
	"strings"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/toml"
)

// gates reads gate, and system_dependencies, which are gates too.
func (d *decoder) gates(mounts []string) {
	var subject object.Kind
	if IsTemplate(d.def.Name) {
		subject = rule.Template
	}
	for _, t := range d.Subs("gate") {
		sub := toml.Decode(t, "a gate", d.Problems)
		g := Gate{Object: rule.KindOf(sub)}
		if m := sub.Sub("match"); m != nil && g.Object != "" {
			g.Match = rule.Condition(g.Object, subject, m, d.Problems)
			if len(m.Keys) == 0 && !m.Broken {
				d.Problems.Warnf(m.Pos, "match = {} is true of every %s there is", g.Object)
			}
		} else if t.Get("match") == nil {
			sub.Missing("match", "{ … }")
		}
		sub.Bool("once", &g.Once)
		sub.Bool("absent", &g.Absent)
		sub.Time("linger", &g.Linger)
		sub.Done()
		g.Text = string(g.Object) + " " + g.Match.String()
		if g.Absent {
			g.Text = "no " + g.Text
		}
		d.def.Policy.Gates = append(d.def.Policy.Gates, g)
	}
	d.systems(mounts)
}

// systems reads system_dependencies.
func (d *decoder) systems(mounts []string) {
	d.Texts("system_dependencies", &d.def.Policy.System)
	for i, name := range d.def.Policy.System {
		d.system(d.Table.Get("system_dependencies").Value.List[i], name, mounts)
	}
}

// system makes the gates of a system dependency. They are hard: what was met and
// is not any more stops the service.
func (d *decoder) system(v *toml.Value, name string, mounts []string) {
	known := []string{"TIME", "MOUNTS"}
	if !slices.Contains(known, name) {
		d.Problems.Errorf(v.Pos, "system_dependencies: %q is neither TIME nor MOUNTS%s", name, toml.DidYouMean(name, known))
		return
	}
	p := &d.def.Policy
	if slices.ContainsFunc(p.Gates, func(g Gate) bool { return g.System == name }) {
		d.Problems.Errorf(v.Pos, "system_dependencies: %s stands there twice", name)
		return
	}
	p.Gates = append(p.Gates, SystemGates(name, mounts)...)
}

// SystemGates are the gates that a system dependency stands for, TIME or MOUNTS.
func SystemGates(name string, mounts []string) []Gate {
	if name == "TIME" {
		return []Gate{{Object: object.Clock, Match: match.Must("{ synchronized = true }"), Text: name, System: name}}
	}
	var gates []Gate
	for _, target := range mounts {
		gates = append(gates, Gate{Object: object.Mount, Match: match.Is("target", target), Text: name + ": " + target, System: name})
	}
	return gates
}

// Fstab lists the mount points that MOUNTS waits for: those of fstab that are
// mounted at boot without leave to fail.
func Fstab(text string) []string {
	var targets []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") || f[2] == "swap" || f[1] == "none" || f[1] == "swap" {
			continue
		}
		options := ""
		if len(f) > 3 {
			options = f[3]
		}
		if list := strings.Split(options, ","); slices.Contains(list, "noauto") || slices.Contains(list, "nofail") {
			continue
		}
		if target := unescape.Replace(f[1]); !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	return targets
}

// unescape undoes what fstab(5) and the kernel's mountinfo do to odd characters.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
