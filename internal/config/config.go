package config

import (
	"path"
	"slices"

	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Config is everything that files say, checked. It is never changed once made.
type Config struct {
	Rules    []rule.Rule                    // in order: file, line
	Services map[string]*service.Definition // by definition name: "dnsmasq", "dhcp@"
	Problems []toml.Problem                 // of files that were skipped at start, and warnings
	Notes    []string                       // what was found out while reading, for people
	Settings Settings

	made   material       // what it was made of
	native []toml.Problem // the problems that are not a tree's
}

// Whole tells whether no native file had to be left out.
func (c *Config) Whole() bool { return !toml.HasErrors(c.native) }

// Despite returns the configuration as what is in force although the files make
// another one, which is not whole: the problems are that one's.
func (c *Config) Despite(files *Config) *Config {
	kept := *c
	kept.Problems, kept.native, kept.made.found, kept.made.despite = files.Problems, files.native, files.native, true
	return &kept
}

// Degraded says in one line how what is in force is not what the files say, or "".
func (c *Config) Degraded() string {
	switch {
	case c.Whole():
		return ""
	case c.made.despite:
		return "the last good configuration of this boot is in force, for the files have errors: mend them, then `hsctl reload`"
	}
	return "configuration files with an error are left out: mend them, then `hsctl reload`"
}

// ErrorOf says what is wrong with the file of a service, or "".
func (c *Config) ErrorOf(name string) string {
	template, _ := service.Split(name)
	for _, p := range c.Problems {
		file := path.Base(p.Pos.File)
		if !p.Warning && (file == name+suffix || file == template+suffix) && c.Settings.layerOf(p.Pos.File) > 0 {
			return fileError + p.String()
		}
	}
	return ""
}

const fileError = "its file has an error: "

// Settings is hotsvc.toml.
type Settings struct {
	Udev        string // auto, yes, no
	SocketGroup string
	LogLevel    string
	RulesDirs   []string
	ServiceDirs []string      // "/etc/hotsvc/services", "runit:/etc/sv"
	Damping     *rule.Damping // the default of every rule; nil: off
}

// Service returns the definition that a service or instance has, or nil.
func (c *Config) Service(name string) *service.Definition {
	def, _ := c.Lookup(name)
	return def
}

// Lookup returns the definition that a service or instance has, or nil, and the
// instance. A name with an @ may be a whole name: directories are called so.
func (c *Config) Lookup(name string) (def *service.Definition, instance string) {
	if def := c.Services[name]; def != nil && !service.IsTemplate(name) {
		return def, ""
	}
	template, instance := service.Split(name)
	return c.Services[template], instance
}

// ServiceNames lists the definitions in the order of their names.
func (c *Config) ServiceNames() []string {
	names := make([]string, 0, len(c.Services))
	for name := range c.Services {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AttrNames lists the x of every ATTR{x} and ATTRS{x} that rules, gates and
// commands read, sorted: what the device source must read from sysfs.
func (c *Config) AttrNames() []string {
	names := rule.AttrNames(c.Rules)
	for _, name := range c.ServiceNames() {
		names = append(names, rule.AttrsOf(c.Services[name].Words())...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Reads tells whether any rule reads one of these words, and which definitions
// do. Words that cost a subscription are asked for only where they are used.
func (c *Config) Reads(words ...string) (rules bool, defs map[*service.Definition]bool) {
	reads := func(has []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(has, w) })
	}
	for i := range c.Rules {
		rules = rules || reads(c.Rules[i].Words())
	}
	defs = map[*service.Definition]bool{}
	for _, d := range c.Services {
		if reads(d.Words()) {
			defs[d] = true
		}
	}
	return rules, defs
}
