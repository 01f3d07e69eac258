package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/dialect"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// An archive has the settings, the mount points, what is wrong with a file but not
// in its text, and every file under
//
//	-- services "dhcp@.toml" "/etc/hotsvc/services/dhcp@.toml" --
//
// that is its kind, the name that it stands for, and its path.
const (
	settingsPart = "settings"
	mountsPart   = "mounts"
	treesPart    = "trees"
	wrongPart    = "wrong"
)

// wrong is what a file is left out for that its text does not tell, by path.
type wrong struct {
	Unread map[string][]toml.Problem `json:"unread"` // it could not be read, or believed
	Looked map[string][]toml.Problem `json:"looked"` // something that it names
}

func (m *material) wrong() wrong {
	w := wrong{map[string][]toml.Problem{}, map[string][]toml.Problem{}}
	keep := func(in map[string][]toml.Problem, file string, from []toml.Problem) {
		for _, p := range from {
			if p.Pos.File == file && !p.Warning {
				in[file] = append(in[file], p)
			}
		}
	}
	for _, f := range m.files {
		if f.unread {
			keep(w.Unread, f.path, m.found)
		} else {
			keep(w.Looked, f.path, m.looked[f.path])
		}
	}
	return w
}

// setRight makes the files what they were when that was wrong with them.
func (m *material) setRight(w wrong) {
	m.looked = w.Looked
	for i, f := range m.files {
		if problems := w.Unread[f.path]; len(problems) > 0 && !f.unread {
			m.files[i].unread = true
			m.found = append(m.found, problems...)
		}
	}
}

func marshal(what any) []byte {
	b, err := json.Marshal(what)
	if err != nil {
		panic("config: it cannot be written: " + err.Error()) // plain values only: our own mistake
	}
	return b
}

// Archive is the configuration as the text of its files, from which FromArchive
// makes the same again. What later layers override is not in it.
func (c *Config) Archive() []byte {
	var mounts strings.Builder
	for _, m := range c.made.mounts {
		fmt.Fprintln(&mounts, strconv.Quote(m))
	}
	parts := []part{{settingsPart, []byte(c.Settings.String())}, {mountsPart, []byte(mounts.String())}}
	for _, f := range c.made.files {
		parts = append(parts, part{fmt.Sprintf("%s %q %q", f.kind, f.name, f.path), f.data})
	}
	if w := c.made.wrong(); len(w.Unread)+len(w.Looked) > 0 {
		parts = append(parts, part{wrongPart, marshal(w)})
	}
	others := map[string]*service.Definition{}
	for name, def := range c.Services {
		if def.Dialect != service.Native {
			others[name] = def
		}
	}
	if len(others) > 0 {
		parts = append(parts, part{treesPart, marshal(others)})
	}
	return joinParts(parts)
}

// layerOf is where a file of a service stands in the order of the directories.
func (s *Settings) layerOf(file string) int {
	return 1 + slices.IndexFunc(s.ServiceDirs, func(tree string) bool {
		_, dir := dialect.Cut(tree)
		return path.Dir(file) == path.Clean(dir)
	})
}

// FromArchive makes the configuration of an archive, without the files that have
// a problem. The services of other dialects are as they were read. It is an error
// if the text is no archive.
func FromArchive(data []byte) (*Config, error) {
	m := material{settings: DefaultSettings()}
	others := map[string]*service.Definition{}
	var w wrong
	for _, p := range splitParts(data) {
		switch p.name {
		case settingsPart:
			var problems []toml.Problem
			if m.settings, problems = ParseSettings(settingsPart, p.data, DefaultSettings()); toml.HasErrors(problems) {
				return nil, fmt.Errorf("archived configuration: %s", problems[0])
			}
		case mountsPart:
			for line := range strings.Lines(string(p.data)) {
				target, err := strconv.Unquote(strings.TrimSpace(line))
				if err != nil {
					return nil, fmt.Errorf("archived configuration: %s: %q is no quoted text", mountsPart, line)
				}
				m.mounts = append(m.mounts, target)
			}
		case treesPart:
			if err := json.Unmarshal(p.data, &others); err != nil {
				return nil, fmt.Errorf("archived configuration: %s: %w", treesPart, err)
			}
		case wrongPart:
			if err := json.Unmarshal(p.data, &w); err != nil {
				return nil, fmt.Errorf("archived configuration: %s: %w", wrongPart, err)
			}
		default:
			f := file{data: p.data}
			if _, err := fmt.Sscanf(p.name, "%s %q %q", &f.kind, &f.name, &f.path); err != nil || f.kind != rulesKind && f.kind != servicesKind {
				return nil, fmt.Errorf("archived configuration: part %q is unknown", p.name)
			}
			f.layer = m.settings.layerOf(f.path)
			m.files = append(m.files, f)
		}
	}
	if len(m.files) == 0 {
		return nil, fmt.Errorf("archived configuration: there is no file in it")
	}
	tree := dialect.Found{Native: true} // all of them, merged: a rescan tells them apart again
	for _, name := range sortedNames(others) {
		def := others[name]
		if def == nil || def.Name != name {
			return nil, fmt.Errorf("archived configuration: %s: what is there for %q is none", treesPart, name)
		}
		for _, system := range def.Policy.System {
			def.Policy.Gates = append(def.Policy.Gates, service.SystemGates(system, m.mounts)...)
		}
		tree.Definitions = append(tree.Definitions, def)
	}
	m.trees = []dialect.Found{tree}
	m.setRight(w)
	c, _ := build(m, Input{})
	maps.Copy(c.Services, others) // whichever layer they were in
	return c, nil
}
