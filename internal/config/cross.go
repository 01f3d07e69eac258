package config

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// crossCheck looks at what one file says of another.
func (b *builder) crossCheck() {
	var p toml.Problems
	first := map[string]toml.Pos{}
	for i := range b.rules {
		r := &b.rules[i]
		if pos, twice := first[r.Name]; twice {
			p.Errorf(r.Pos, "there is a rule named %q already, at %s: give this one another name", r.Name, pos)
		} else {
			first[r.Name] = r.Pos
		}
		for i, name := range r.Require {
			if rule.CheckRequire(name, r.Object) != "" {
				continue // said before
			}
			if wrong := cmp.Or(b.unknown(name), badLiteral(name)); wrong != "" {
				p.Errorf(r.RequirePos[i], "require: %s", wrong)
			}
		}
	}
	for _, name := range sortedNames(b.services) {
		for _, ref := range b.services[name].Refs {
			wrong := b.unknown(ref.Name)
			switch {
			case wrong == "":
			case ref.Key == "needs":
				p.Errorf(ref.Pos, "needs: %s", wrong)
			default:
				p.Warnf(ref.Pos, "%s: %s", ref.Key, wrong)
			}
		}
	}
	b.cycles(&p)
	b.note(p.Sorted())
}

// look asks, once a load, what the native services in force name outside of the
// configuration. The shipped ones come with programs for whoever has them.
func (b *builder) look() {
	for _, name := range sortedNames(b.services) {
		def := b.services[name]
		file := def.Pos.File
		if def.Dialect != service.Native || strings.HasPrefix(file, builtIn) {
			continue
		}
		if _, before := b.looked[file]; !before && b.in.Look != nil && !b.in.rescan {
			b.looked[file] = b.in.Look(def)
		}
		b.note(b.looked[file])
	}
}

// badLiteral says what is wrong with a name that is not made of words.
func badLiteral(name string) string {
	if len(match.Refs(name)) > 0 {
		return ""
	}
	return service.CheckName(name)
}

func sortedNames(services map[string]*service.Definition) []string {
	return (&Config{Services: services}).ServiceNames()
}

// unknown says why no definition is there for a service, or "".
func (b *builder) unknown(name string) string {
	template, instance := service.Split(name)
	switch {
	case b.services[template] != nil, b.services[name] != nil && !service.IsTemplate(name):
		return ""
	case b.services[name+"@"] != nil:
		return fmt.Sprintf("%q is a template: which instance? Write %q and the instance", name, name+"@")
	case instance != "" && b.services[strings.TrimSuffix(template, "@")] != nil:
		base := strings.TrimSuffix(template, "@")
		return fmt.Sprintf("%q: %s is no template: write %q", name, base, base)
	}
	guess := toml.Nearest(template, sortedNames(b.services))
	if guess == "" {
		return fmt.Sprintf("there is no service %q", template)
	}
	if service.IsTemplate(guess) {
		guess += instance
	}
	return fmt.Sprintf("there is no service %q; did you mean %s?", template, guess)
}

// Which words of its own link a program changes. A rule that reads one of them
// to require the program starts and stops it for ever.
var changes = map[string][]string{
	"udhcpc":         {"address4", "default4"},
	"dhcpcd":         {"address4", "default4", "address6", "default6", "linklocal4"},
	"dhclient":       {"address4", "default4", "address6", "default6"},
	"zcip":           {"linklocal4"},
	"avahi-autoipd":  {"linklocal4"},
	"wpa_supplicant": {"up", "carrier", "running", "dormant", "operstate", "ssid", "associated"},
	"iwd":            {"up", "carrier", "running", "dormant", "operstate", "ssid", "associated"},
	"brctl":          {"master"},
}

// warnSelfMade speaks of rules that match what their own service changes.
func (b *builder) warnSelfMade() {
	for i := range b.rules {
		r := &b.rules[i]
		for j, name := range r.Require {
			template, _ := service.Split(name)
			def := b.services[template]
			if r.Object != object.Link || def == nil || len(def.Exec.Start) == 0 {
				continue
			}
			for _, w := range changedBy(def.Exec.Start) {
				if slices.Contains(r.Match.Words(), w) {
					b.problems.Warnf(r.RequirePos[j], "rule %s matches %s, which %s itself changes: it would end its own reason to run", r.Name, w, name)
				}
			}
		}
	}
}

func changedBy(argv []string) []string {
	program := path.Base(argv[0])
	if program == "busybox" && len(argv) > 1 {
		program = argv[1]
	}
	if program == "ip" && slices.Contains(argv, "master") {
		program = "brctl"
	}
	return changes[program]
}
