package control

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/engine"
	"hotsvc/internal/object"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the table says (%v): look at the difference, then run go test -update; now:\n%s", file, err, got)
	}
}

// What people's programs rely on changes only when somebody means it to.
func TestTableIsGolden(t *testing.T) {
	golden(t, "io.hotsvc.varlink", Description())
	golden(t, "operations.md", Markdown())
}

func TestTableIsWhole(t *testing.T) {
	verbs := []engine.Verb{
		engine.VerbStatus, engine.VerbRequire, engine.VerbRelease, engine.VerbHold, engine.VerbStart, engine.VerbStop,
		engine.VerbRestart, engine.VerbReloadService, engine.VerbBlock, engine.VerbUnblock, engine.VerbStopAll,
		engine.VerbSuspend, engine.VerbResume, engine.VerbWait, engine.VerbWhy, engine.VerbObjects, engine.VerbRules,
		engine.VerbMonitor,
	}
	for _, v := range verbs {
		if Find(v) == nil {
			t.Errorf("the table lacks %s", v)
		}
	}
	if Find(engine.VerbShutdown) != nil {
		t.Error("shutdown is the daemon's own and not to be had from outside")
	}
	for _, o := range Operations {
		reads := slices.Contains([]engine.Verb{"status", "why", "wait", "objects", "rules", "monitor"}, o.Verb)
		if (o.Access == Read) != reads {
			t.Errorf("%s is for %s", o.Verb, o.Access)
		}
		for _, name := range o.parameters() {
			paramField(name) // panics where Params has none
		}
	}
	if want := fmt.Sprintf("(%s)", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(object.Kinds)), ", "), "[]")); exact["Params.kind"] != want {
		t.Errorf("kinds are %s, want %s", exact["Params.kind"], want)
	}
}

// A program that others wrote must be able to read the description.
func TestForeignClient(t *testing.T) {
	if _, err := exec.LookPath("varlinkctl"); err != nil {
		t.Skip("varlinkctl (systemd 255 or newer) is not installed")
	}
	f, socket := serve(t, nil)
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{}} }
	for _, args := range [][]string{
		{"info", socket}, {"introspect", socket, Interface}, {"call", socket, Interface + ".Status", "{}"},
	} {
		if out, err := exec.Command("varlinkctl", args...).CombinedOutput(); err != nil {
			t.Errorf("varlinkctl %s: %v\n%s", args[0], err, out)
		}
	}
}

// The daemon stays small: what it links, every router carries.
func TestLinksNothingBig(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skip("no go command here: ", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if slices.Contains([]string{"net/http", "text/template", "html/template", "os/exec", "github.com/spf13/cobra"}, dep) {
			t.Errorf("control links %s", dep)
		}
	}
}
