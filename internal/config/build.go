package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hotsvc/internal/dialect"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// builder makes a Config of files. Files with an error are left out one after
// the other until what remains has none: a service falls back to the layer
// below, so that a router keeps its uplink.
type builder struct {
	material
	in       Input
	bad      map[string]bool // paths of files that have an error
	problems toml.Problems

	rules    []rule.Rule
	services map[string]*service.Definition
}

// material is what a configuration is made of.
type material struct {
	settings Settings
	mounts   []string
	files    []file          // lower layers first
	trees    []dialect.Found // of the directories of services
	found    []toml.Problem  // while reading, of anything but the trees
	notes    []note
	despite  bool                      // the files say something else by now, with errors
	looked   map[string][]toml.Problem // Input.Look's, by the file of the definition
}

// build looks at no more of the input than how to build.
func build(m material, in Input) (*Config, []toml.Problem) {
	b := &builder{material: m, in: in, bad: map[string]bool{}}
	b.problems.Add(m.found...)
	for _, f := range m.files {
		if f.unread {
			b.bad[f.path] = true
		}
	}
	before := -1
	for len(b.bad) > before {
		before = len(b.bad)
		b.parse()
		b.miss()
		b.crossCheck()
		b.look()
		if in.Strict {
			break
		}
	}
	b.warnSelfMade()
	b.claim()
	native := b.problems.Sorted()
	for _, t := range m.trees {
		b.problems.Add(t.Problems...)
	}
	all := b.problems.Sorted()
	if in.Strict && toml.HasErrors(native) {
		return nil, all
	}
	m.files = b.effective()
	return &Config{Rules: b.rules, Services: b.services, Problems: all, Notes: b.notable(), Settings: m.settings, made: m, native: slices.Clone(native)}, all
}

// notable picks what matters with these rules.
func (b *builder) notable() []string {
	asked := map[string]bool{}
	for i := range b.rules {
		for _, name := range b.rules[i].Require {
			template, _ := service.Split(name)
			asked[template] = true
		}
	}
	var texts []string
	for _, n := range b.notes {
		if d := b.services[n.service]; d != nil && strings.HasPrefix(d.Pos.File, builtIn) && asked[n.service] {
			texts = append(texts, n.service+": "+n.text)
		}
	}
	return append(texts, b.treeNotes()...)
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
func (b *builder) parse() {
	b.rules, b.services = nil, map[string]*service.Definition{}
	ruleFiles := map[string]file{}
	taken := 0
	for _, f := range b.files {
		if f.kind == rulesKind {
			ruleFiles[f.name] = f
			continue
		}
		for ; taken < min(f.layer, len(b.trees)); taken++ {
			b.take(&b.trees[taken])
		}
		b.parseService(f)
	}
	for ; taken < len(b.trees); taken++ {
		b.take(&b.trees[taken])
	}
	for _, name := range slices.SortedFunc(maps.Keys(ruleFiles), cmp.Compare[string]) {
		f := ruleFiles[name]
		if strings.TrimSpace(string(f.data)) == "" {
			continue // a mask
		}
		rules, problems := rule.Parse(f.path, f.data, b.settings.Damping)
		if b.note(problems); !b.bad[f.path] || b.in.Strict {
			b.rules = append(b.rules, rules...)
		}
	}
}

func (b *builder) parseService(f file) {
	name := strings.TrimSuffix(f.name, suffix)
	if !b.bad[f.path] {
		def, problems := service.Parse(name, f.path, f.data, b.mounts)
		if b.note(problems); !b.bad[f.path] || b.in.Strict {
			b.warnTwice(def)
			b.put(def)
			return
		}
	}
	if b.services[name] == nil {
		// Known, so that what names it is not wrong as well.
		broken := service.New(name)
		broken.Pos = toml.Pos{File: f.path}
		broken.Masked, broken.Broken = true, fileError+b.errorIn(f.path)
		b.services[name] = &broken
	}
}

// errorIn returns the first error in a file that has one.
func (b *builder) errorIn(file string) string {
	all := b.problems.Sorted()
	return all[slices.IndexFunc(all, func(p toml.Problem) bool { return p.Pos.File == file && !p.Warning })].String()
}

// effective lists the files that matter: of each name the last good one, and the
// ones above it, which have a problem.
func (b *builder) effective() []file {
	good := map[string]int{}
	for i, f := range b.files {
		if !b.bad[f.path] {
			good[f.kind+" "+f.name] = i
		}
	}
	var out []file
	for i, f := range b.files {
		if good[f.kind+" "+f.name] <= i {
			out = append(out, f)
		}
	}
	return out
}
