package layout

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/config"
)

const run = "#!/bin/sh\nexec sleep 1000\n"

// place makes files in a directory of their own; DIR in them is its name.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// own are the services that a configuration has of its own.
func own(c *config.Config) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.Services)), func(name string) bool {
		return strings.HasPrefix(c.Services[name].Pos.File, "built-in/")
	})
}

func TestCheckReadsTheTreesThatItsSettingsName(t *testing.T) {
	usual := filepath.Dir(Default().Config)
	const needsDowned = "[[rule]]\nname='r'\nobject='link'\nmatch={running=true}\nrequire=['downed']\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"none named": {map[string]string{"services/a.toml": "exec_start = ['sh']", "hotsvc.toml": "log='warn'"}, []string{"a"}},
		"a tree": {map[string]string{
			"hotsvc.toml": "services=['" + usual + "/services', 'runit:DIR/sv']", "rules.d/50-r.toml": needsDowned,
			"services/a.toml": "exec_start = ['sh']", "sv/web/run": run, "sv/downed/run": run, "sv/downed/down": "",
		}, []string{"a", "downed", "web"}},
		"a tree below it": {map[string]string{"hotsvc.toml": "services=['runit:" + usual + "/sv']", "sv/web/run": run}, []string{"web"}},
		"other rules":     {map[string]string{"hotsvc.toml": "rules=['DIR/more']", "more/50-r.toml": needsDowned, "services/downed.toml": "exec_start = ['sh']"}, []string{"downed"}},
		"settings alone":  {map[string]string{"hotsvc.toml": "log='warn'"}, nil},
	} {
		conf, problems := Check(place(t, c.files), nil)
		if conf == nil || len(problems) > 0 || !slices.Equal(own(conf), c.want) {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		if c.files["rules.d/50-r.toml"]+c.files["more/50-r.toml"] != "" && (len(conf.Rules) != 1 || conf.Rules[0].Name != "r") {
			t.Errorf("%s: the rules are %v", name, conf.Rules)
		}
	}
}

// A file "down" that came while the service runs counts from the next start on.
func TestCheckFollowsOnWhatIsInForce(t *testing.T) {
	dir := place(t, map[string]string{"hotsvc.toml": "services=['runit:DIR/sv']", "sv/web/run": run})
	was, problems := Check(dir, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := os.WriteFile(filepath.Join(dir, "sv/web/down"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if conf, _ := Check(dir, was); !conf.Services["web"].Policy.StartAtBoot {
		t.Error("what a reload leaves as it is would be stopped")
	}
}

func TestCheckOfWhatIsNoConfigurationSaysThatAlone(t *testing.T) {
	for _, files := range []map[string]string{
		{"50-wired.toml": "[[rule]]\nname='r'\nobject='link'\nmatch={running=true}\nrequire=['fw']\n"},
		{"a.toml": ""},
		{},
	} {
		conf, problems := Check(place(t, files), nil)
		if conf != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, "is no tree of services itself: ") {
			t.Errorf("%v: %v", files, problems)
		}
	}
	dir := place(t, map[string]string{"rules.d/a.toml": "", "hotsvc.toml/x": ""})
	if conf, problems := Check(dir, nil); conf != nil || len(problems) != 1 || problems[0].String() != dir+"/hotsvc.toml: cannot be read: it is no file" {
		t.Errorf("%v", problems)
	}
	os.RemoveAll(dir + "/hotsvc.toml")
	if err := unix.Mkfifo(dir+"/hotsvc.toml", 0o600); err != nil { // whose reader waits for a writer
		t.Fatal(err)
	}
	if conf, problems := Check(dir, nil); conf != nil || len(problems) != 1 || problems[0].String() != dir+"/hotsvc.toml: cannot be read: it is no file" {
		t.Errorf("%v", problems)
	}
}

func TestSettingsOfAnOrdinaryUserCount(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  {"a"},
		"services=['DIR/more']":             {"b"},
		"rules=['DIR/rules.d']\nlog='warn'": {"a"},
	} {
		dir := place(t, map[string]string{"services/a.toml": "exec_start = ['sh']", "more/b.toml": "exec_start = ['sh']", "hotsvc.toml": text})
		l := Layout{Config: filepath.Join(dir, "hotsvc.toml"), home: dir}
		if conf, problems := l.Read(); len(problems) > 0 || !slices.Equal(own(conf), want) {
			t.Errorf("%q: %v", text, problems)
		}
	}
}
