package dialect

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Whatever stands in a file of hermit's: a service is known, by a name that can
// be one, and runs only if its file has no error.
func FuzzHermit(f *testing.F) {
	for _, text := range []string{
		"", "id = 'a'", "id = 5", "id = 'x@'", "id = '../x'\nexec_start = ['x']", "exec_start = ['a', '{instance}']",
		"id = 'web'\nexec_start = ['httpd', '-f']\nexec_start_pre = ['true']\nexec_start_pre_timeout = '3s'\nshutdown_timeout = '1m'\nsystem_dependencies = ['TIME', 'MOUNTS']",
		"exec_start = [", "\x00", "[[id]]", "id.x = 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree := fstest.MapFS{"app.toml": &fstest.MapFile{Data: []byte(text), Mode: 0o644}}
		found := Read(Tree{Name: "/he", FS: tree, Dialect: service.Hermit, Mounts: []string{"/srv"}})
		if len(found.Definitions) != 1 {
			t.Fatalf("%d definitions, %v", len(found.Definitions), found.Problems)
		}
		def := found.Definitions[0]
		if wrong := service.CheckName(def.Name); wrong != "" {
			t.Error(wrong)
		}
		if (def.Broken != "") != toml.HasErrors(found.Problems) {
			t.Errorf("broken %q with %v", def.Broken, found.Problems)
		}
		if def.Broken == "" && !def.Masked && len(def.Exec.Start) == 0 {
			t.Error("it has nothing to start")
		}
	})
}

// Whatever an entry is called, and whatever it is: nothing panics, and what is
// known has a name that can be one.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"web", ".web", "a b", "x@", "@", "a@b", "{instance}", "x.toml", "-x", "..."} {
		f.Add(name, true)
		f.Add(name, false)
	}
	f.Fuzz(func(t *testing.T, name string, dir bool) {
		if !fs.ValidPath(name) || name == "." {
			return
		}
		file := name
		if dir {
			file += "/run"
		}
		tree := fstest.MapFS{file: &fstest.MapFile{Mode: 0o755}}
		for _, d := range append([]service.Dialect{""}, service.Dialects...) {
			for _, def := range Read(Tree{Name: "/t", FS: tree, Dialect: d}).Definitions {
				instance := def.Name
				if service.IsTemplate(instance) {
					instance += "x"
				}
				if wrong := service.CheckName(instance); wrong != "" {
					t.Errorf("%s: %s", d, wrong)
				}
			}
		}
	})
}
