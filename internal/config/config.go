package config

import (
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Config is everything that files say, checked. It is never changed once made.
type Config struct {
	Rules    []rule.Rule                    // in order: file, line
	Services map[string]*service.Definition // by definition name: "dnsmasq", "dhcp@"
	Problems []toml.Problem                 // of files that were skipped at start, and warnings
	Settings Settings
}

// Settings is hotsvc.toml.
type Settings struct {
	Udev        string // auto, yes, no
	SocketGroup string
	LogLevel    string
	RulesDirs   []string
	ServiceDirs []string
	Damping     *rule.Damping // the default of every rule; nil: off
}
