package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write what is said into testdata")

// The files in testdata hold what people type wrongly, and what they are told.
// Parts are files below a root directory; "said" is the exact output of a check,
// and "at start" which rules and services are left when the same is loaded at
// start.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			parts := splitParts(text)
			root := fstest.MapFS{}
			for _, p := range parts {
				if p.name != "said" && p.name != "at start" {
					root[p.name] = &fstest.MapFile{Data: p.data}
				}
			}
			in := rooted(root)
			if f := root["hotsvc.toml"]; f != nil {
				in.Settings, in.Problems = ParseSettings("hotsvc.toml", f.Data, in.Settings)
			}
			c, problems := Load(in)
			var said strings.Builder
			for _, p := range problems {
				said.WriteString(p.String() + "\n")
			}
			in.Strict = false
			started, _ := Load(in)
			got := map[string]string{"said": said.String(), "at start": summary(started)}
			changed := false
			for i, p := range parts {
				want, ok := got[p.name]
				if !ok || want == string(p.data) {
					continue
				}
				if changed = true; *update {
					parts[i].data = []byte(want)
				} else {
					t.Errorf("%s:\n%s\nwant:\n%s", p.name, want, p.data)
				}
			}
			if changed && *update {
				comment, _, _ := strings.Cut(string(text), "-- ")
				if err := os.WriteFile(name, append([]byte(comment), joinParts(parts)...), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if hasError := strings.Contains(said.String(), ": ") && !strings.Contains(said.String(), ": warning: "); hasError && c != nil {
				t.Error("a configuration with errors was not refused")
			}
		})
	}
}

// summary names the rules, and the services that are not the shipped ones.
func summary(c *Config) string {
	var b strings.Builder
	for _, r := range c.Rules {
		b.WriteString("rule " + r.Name + "\n")
	}
	for _, name := range c.ServiceNames() {
		switch d := c.Services[name]; {
		case d.Broken != "":
			b.WriteString("service " + name + ": " + d.Broken + "\n")
		case d.Masked:
			b.WriteString("service " + name + ": masked\n")
		case !strings.HasPrefix(d.Pos.File, "built-in/"):
			b.WriteString("service " + name + "\n")
		}
	}
	return b.String()
}
