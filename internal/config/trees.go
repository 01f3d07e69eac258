package config

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"hotsvc/internal/dialect"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Trees are directories of services in other dialects. Nothing in them refuses a
// configuration: a service that cannot run says so itself, and the others run.

func (in *Input) tree(s Source) dialect.Tree {
	return dialect.Tree{Name: s.Name, FS: s.FS, Dialect: s.Dialect, Copies: in.Copies, RunDir: in.RunDir, Mounts: in.Mounts, Identity: s.Identity, Trust: s.doubt}
}

// begins tells whether a daemon starts with this.
func (in *Input) begins() bool { return !in.Strict && !in.rescan }

// Rescan reads the trees anew. All that is native stays as it is in force in
// in.Was, whatever its files say by now. Where no service changed, nor what is
// wrong with one, it returns in.Was.
func Rescan(in Input) *Config {
	was := in.Was
	m := was.made
	m.trees = nil
	for i, s := range in.Services {
		t := in.tree(s)
		t.TOML = was.made.tomlOf(i)
		m.trees = append(m.trees, dialect.Read(t))
	}
	if reflect.DeepEqual(m.trees, was.made.trees) {
		return was
	}
	in.Strict, in.rescan = false, true
	c, _ := build(m, in)
	if c.sameAs(was) {
		return was
	}
	return c
}

// tomlOf says whose the NAME.toml of a tree are by what was read there. What is
// native is not to change its meaning by what stands beside it.
func (m *material) tomlOf(tree int) service.Dialect {
	if tree < len(m.trees) && !m.trees[tree].Native {
		return service.Hermit
	}
	for _, f := range m.files {
		if f.kind == servicesKind && f.layer == tree+1 {
			return service.Native
		}
	}
	return ""
}

// sameAs tells whether two configurations of the same native files are the same.
func (c *Config) sameAs(was *Config) bool {
	if len(c.Services) != len(was.Services) || !reflect.DeepEqual(c.Problems, was.Problems) {
		return false
	}
	for name, def := range c.Services {
		old := was.Services[name]
		switch {
		case old == nil, old.Dialect != def.Dialect, old.Broken != def.Broken:
			return false
		case def.Dialect != service.Native && !reflect.DeepEqual(old, def):
			return false
		}
	}
	return true
}

// put gives a service its definition. The logger of the one that it replaces
// goes with that.
func (b *builder) put(def *service.Definition) {
	delete(b.services, service.LoggerOf(def.Name))
	b.services[def.Name] = def
}

// warnTwice speaks of a file beside a service of the same name in another form.
func (b *builder) warnTwice(def *service.Definition) {
	other := b.services[def.Name]
	if other != nil && other.Dialect != service.Native && !def.Masked && strings.HasPrefix(other.Pos.File, path.Dir(def.Pos.File)+"/") {
		b.problems.Warnf(toml.Pos{File: def.Pos.File}, "%s makes a service %s too; this file counts", other.Pos.File, def.Name)
	}
}

// take adds the services of a tree to those of the layers below.
func (b *builder) take(tree *dialect.Found) {
	broken := map[string]bool{}
	for _, def := range tree.Definitions {
		broken[def.Name] = def.Broken != ""
	}
	for _, def := range tree.Definitions {
		old := b.in.Was.kept(def)
		switch {
		case def.Broken != "" && old != nil && !slices.Contains(tree.Doubted, def.Name): // what others could write must not run again
			b.keep(old)
			continue
		case def.Broken != "" && b.services[def.Name] != nil:
			continue // the layer below has one that is not
		case old != nil && def.Dialect == service.Runit && !b.in.begins():
			def = b.asBegun(def, old, broken[service.LoggerOf(def.Name)])
		}
		if def.Exec.Input != "" || strings.HasSuffix(def.Name, service.LoggerOf("")) {
			b.services[def.Name] = def
		} else {
			b.put(def)
		}
	}
}

// kept returns the definition that a service had of the same files, or nil.
func (c *Config) kept(def *service.Definition) *service.Definition {
	if c == nil {
		return nil
	}
	old := c.Services[def.Name]
	if def.Dialect == service.Hermit && def.Broken != "" { // its name may be in what cannot be read
		for _, d := range c.Services {
			if d.Pos.File == def.Pos.File {
				old = d
			}
		}
	}
	if old == nil || old.Masked || old.Pos.File != def.Pos.File || old.Exec.Identity != def.Exec.Identity {
		return nil
	}
	return old
}

// keep leaves a service as it was, and its logger too: a program that is being
// replaced is missing for a moment.
func (b *builder) keep(old *service.Definition) {
	b.services[old.Name] = old
	name := service.LoggerOf(old.Name)
	if logger := b.in.Was.Services[name]; logger != nil && b.services[name] == nil {
		b.services[name] = logger
	}
}

// asBegun is a definition of which some things count only when the daemon
// starts: the file down, and a logger that cannot run any more.
func (b *builder) asBegun(def, old *service.Definition, loggerBroken bool) *service.Definition {
	begun := *def
	begun.Policy.StartAtBoot = old.Policy.StartAtBoot
	if loggerBroken && b.in.Was.Services[service.LoggerOf(def.Name)] != nil {
		begun.Exec.Log, begun.Policy.Wants, begun.Policy.After = old.Exec.Log, old.Policy.Wants, old.Policy.After
	}
	return &begun
}

// miss keeps the names of services that are gone from a tree, as long as what is
// native names them: what needs one of them waits for it to come back.
func (b *builder) miss() {
	if !b.in.rescan {
		return
	}
	for _, name := range b.named() {
		def := b.in.Was.Service(name)
		if def == nil || def.Dialect == service.Native || b.unknown(name) == "" {
			continue
		}
		gone := service.New(def.Name)
		gone.Dialect, gone.Pos, gone.Dir = def.Dialect, def.Pos, def.Dir
		gone.Masked, gone.Broken = true, def.Pos.File+" is gone: put it back, or take "+name+" out of what names it"
		b.problems.Warnf(gone.Pos, "is gone, and %s is named still: put it back", name)
		b.services[gone.Name] = &gone
	}
}

// named lists the services that rules require and native services need.
func (b *builder) named() []string {
	var names []string
	for i := range b.rules {
		names = append(names, b.rules[i].Require...)
	}
	for _, name := range sortedNames(b.services) {
		for _, ref := range b.services[name].Refs {
			names = append(names, ref.Name)
		}
	}
	return names
}

// claim makes the service directories of runit this daemon's.
func (b *builder) claim() {
	if b.in.Claim == nil {
		return
	}
	for _, name := range sortedNames(b.services) {
		def := b.services[name]
		if def.Dialect != service.Runit || def.Masked {
			continue
		}
		if err := b.in.Claim(def.Dir); err != nil {
			taken := *def
			taken.Masked, taken.Broken = true, err.Error()
			b.problems.Warnf(def.Pos, "%v", err)
			b.services[name] = &taken
		}
	}
}

// treeNotes says of each tree what it is.
func (b *builder) treeNotes() []string {
	var texts []string
	for _, t := range b.trees {
		for _, d := range t.Dialects {
			n := 0
			for _, def := range t.Definitions {
				if def.Dialect == d && !service.IsTemplate(def.Name) && def.Exec.Input == "" {
					n++
				}
			}
			texts = append(texts, fmt.Sprintf("%s: %d in the form of %s", t.Name, n, d))
		}
	}
	return texts
}
