package service

import (
	"strings"

	"hotsvc/internal/toml"
)

// ParseHermit reads one of hermit's files into a definition that has hermit's
// defaults and the file's name. A key that hermit does not have is an error.
func ParseHermit(def *Definition, data []byte, mounts []string) []toml.Problem {
	if strings.TrimSpace(string(data)) == "" {
		def.Masked = true
		return nil
	}
	root, problems := toml.Parse(def.Pos.File, data)
	var p toml.Problems
	p.Add(problems...)
	def.Pos.Line, def.Pos.Col = 1, 1
	d := &decoder{toml.Decode(root, "a service of hermit's", &p), def}
	at := def.Pos
	if k := d.Key("id"); k != nil {
		at = k.Value.Pos
		d.Text("id", &def.Name)
	}
	if wrong := CheckName(def.Name); wrong != "" {
		p.Errorf(at, "id: %s", wrong)
	}
	d.starts()
	d.Time("shutdown_timeout", &def.Policy.ShutdownTimeout)
	d.systems(mounts)
	d.Done()
	return p.Sorted()
}
