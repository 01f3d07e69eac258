package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// builder makes a Config of files. Files with an error are left out one after
// the other until what remains has none: a service falls back to the layer
// below, so that a router keeps its uplink.
type builder struct {
	settings Settings
	mounts   []string
	strict   bool            // nothing is left out: say all that is wrong
	bad      map[string]bool // paths of files that have an error
	problems toml.Problems

	rules    []rule.Rule
	services map[string]*service.Definition
}

func build(settings Settings, files []file, mounts []string, strict bool, problems []toml.Problem, notes []note) (*Config, []toml.Problem) {
	b := &builder{settings: settings, mounts: mounts, strict: strict, bad: map[string]bool{}}
	b.problems.Add(problems...)
	before := -1
	for len(b.bad) > before {
		before = len(b.bad)
		b.parse(files)
		b.crossCheck()
		if strict {
			break
		}
	}
	b.warnSelfMade()
	all := b.problems.Sorted()
	if strict && toml.HasErrors(all) {
		return nil, all
	}
	return &Config{
		Rules: b.rules, Services: b.services, Problems: all, Notes: b.notes(notes), Settings: settings,
		files: b.effective(files), mounts: mounts,
	}, all
}

// notes picks what matters with these rules.
func (b *builder) notes(all []note) []string {
	asked := map[string]bool{}
	for i := range b.rules {
		for _, name := range b.rules[i].Require {
			template, _ := service.Split(name)
			asked[template] = true
		}
	}
	var texts []string
	for _, n := range all {
		if d := b.services[n.service]; d != nil && strings.HasPrefix(d.Pos.File, builtIn) && asked[n.service] {
			texts = append(texts, n.service+": "+n.text)
		}
	}
	return texts
}

// note takes problems in, once, and remembers the files to leave out.
func (b *builder) note(problems []toml.Problem) {
	b.problems.Add(problems...)
	for _, p := range problems {
		if !p.Warning {
			b.bad[p.Pos.File] = true
		}
	}
}

// parse reads the files that are not left out.
func (b *builder) parse(files []file) {
	b.rules, b.services = nil, map[string]*service.Definition{}
	ruleFiles := map[string]file{}
	for _, f := range files {
		switch {
		case f.kind == rulesKind:
			ruleFiles[f.name] = f
		default:
			b.parseService(f)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(ruleFiles), cmp.Compare[string]) {
		f := ruleFiles[name]
		if strings.TrimSpace(string(f.data)) == "" {
			continue // a mask
		}
		rules, problems := rule.Parse(f.path, f.data, b.settings.Damping)
		if b.note(problems); !b.bad[f.path] || b.strict {
			b.rules = append(b.rules, rules...)
		}
	}
}

func (b *builder) parseService(f file) {
	name := strings.TrimSuffix(f.name, suffix)
	if !b.bad[f.path] {
		def, problems := service.Parse(name, f.path, f.data, b.mounts)
		if b.note(problems); !b.bad[f.path] || b.strict {
			b.services[name] = def
			return
		}
	}
	if b.services[name] == nil {
		// Known, so that what names it is not wrong as well.
		broken := service.New(name)
		broken.Pos = toml.Pos{File: f.path}
		broken.Masked, broken.Broken = true, "its file has a problem: "+f.path
		b.services[name] = &broken
	}
}

// effective lists the files that matter: of each name the last good one, and the
// ones above it, which have a problem.
func (b *builder) effective(files []file) []file {
	good := map[string]int{}
	for i, f := range files {
		if !b.bad[f.path] {
			good[f.kind+" "+f.name] = i
		}
	}
	var out []file
	for i, f := range files {
		if good[f.kind+" "+f.name] <= i {
			out = append(out, f)
		}
	}
	return out
}
