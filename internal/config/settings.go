package config

import (
	"fmt"
	"path"
	"strings"

	"hotsvc/internal/dialect"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// DefaultSettings is what holds without hotsvc.toml.
func DefaultSettings() Settings {
	damping := rule.DefaultDamping
	return Settings{
		Udev:        "auto",
		SocketGroup: "hotsvc",
		LogLevel:    "info",
		RulesDirs:   []string{"/usr/lib/hotsvc/rules.d", "/etc/hotsvc/rules.d"},
		ServiceDirs: []string{"/usr/lib/hotsvc/services", "/etc/hotsvc/services"},
		Damping:     &damping,
	}
}

// ParseSettings reads hotsvc.toml. What it does not say, or says wrong, is as in
// usual.
func ParseSettings(file string, data []byte, usual Settings) (Settings, []toml.Problem) {
	s := usual
	root, problems := toml.Parse(file, data)
	var p toml.Problems
	p.Add(problems...)
	d := toml.Decode(root, "hotsvc.toml", &p)
	d.OneOf("udev", &s.Udev, "auto", "yes", "no")
	d.Text("socket_group", &s.SocketGroup)
	d.OneOf("log", &s.LogLevel, "error", "warn", "info", "debug")
	dirs(d, "rules", &s.RulesDirs)
	dirs(d, "services", &s.ServiceDirs)
	if k := d.Key("damping"); k != nil {
		if damping, ok := rule.ParseDamping(k, &p); ok {
			s.Damping = damping
		}
	}
	d.Done()
	return s, p.Sorted()
}

func dirs(d *toml.Decoder, key string, to *[]string) {
	var names []string
	if d.Texts(key, &names); names == nil {
		return
	}
	for i, name := range names {
		dir := name
		if key == "services" {
			_, dir = dialect.Cut(name)
		}
		if !path.IsAbs(dir) {
			d.Problems.Errorf(d.Table.Get(key).Value.List[i].Pos, "%s: %s is no absolute path%s", key, toml.Quote(name), dialectHint(key, name))
			return
		}
	}
	*to = names
}

// dialectHint helps with the word before a colon.
func dialectHint(key, name string) string {
	word, dir, ok := strings.Cut(name, ":")
	if key != "services" || !ok || !path.IsAbs(dir) {
		return ""
	}
	var names []string
	for _, d := range service.Dialects {
		names = append(names, string(d))
	}
	return fmt.Sprintf(": before a colon stands %s%s", toml.Or(names), toml.DidYouMean(word, names))
}

// String prints the settings as TOML that ParseSettings reads back.
func (s Settings) String() string {
	return fmt.Sprintf("udev = %s\nsocket_group = %s\nlog = %s\ndamping = %s\nrules = %s\nservices = %s\n",
		toml.Quote(s.Udev), toml.Quote(s.SocketGroup), toml.Quote(s.LogLevel), s.Damping,
		toml.QuoteAll(s.RulesDirs), toml.QuoteAll(s.ServiceDirs))
}
