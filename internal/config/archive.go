package config

import (
	"fmt"
	"strconv"
	"strings"

	"hotsvc/internal/toml"
)

// An archive has the settings, the mount points, and every file under
//
//	-- services "dhcp@.toml" "/etc/hotsvc/services/dhcp@.toml" --
//
// that is its kind, the name that it stands for, and its path.
const (
	settingsPart = "settings"
	mountsPart   = "mounts"
)

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
	return joinParts(parts)
}

// FromArchive makes the configuration of an archive, without the files that have
// a problem, and without the trees of other dialects, which are read where they
// stand. It is an error if the text is no archive.
func FromArchive(data []byte) (*Config, error) {
	m := material{settings: DefaultSettings()}
	for _, p := range splitParts(data) {
		switch p.name {
		case settingsPart:
			var problems []toml.Problem
			if m.settings, problems = ParseSettings(settingsPart, p.data); toml.HasErrors(problems) {
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
		default:
			f := file{data: p.data}
			if _, err := fmt.Sscanf(p.name, "%s %q %q", &f.kind, &f.name, &f.path); err != nil || f.kind != rulesKind && f.kind != servicesKind {
				return nil, fmt.Errorf("archived configuration: part %q is unknown", p.name)
			}
			m.files = append(m.files, f)
		}
	}
	if len(m.files) == 0 {
		return nil, fmt.Errorf("archived configuration: there is no file in it")
	}
	c, _ := build(m, Input{})
	return c, nil
}
