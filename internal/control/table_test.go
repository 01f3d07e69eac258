package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
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

// A client that knows nothing but the varlink specification: messages are JSON
// objects, each ended by a NUL; what it may call it learns from the service.
func TestForeignClient(t *testing.T) {
	f, socket := serve(t, nil)
	f.react = func(c engine.Call) []engine.Reply {
		if c.Verb == engine.VerbMonitor {
			return nil // yet
		}
		return []engine.Reply{{Value: status.Report{Schema: 1}}}
	}
	nc := raw(t, socket)
	r := bufio.NewReader(nc)
	receive := func() (parameters map[string]any, continues bool) {
		t.Helper()
		var m struct {
			Parameters map[string]any
			Continues  bool
			Error      string
		}
		line, err := r.ReadBytes(0)
		if err == nil {
			err = json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m)
		}
		if err != nil || m.Error != "" {
			t.Fatalf("%q: %v", line, err)
		}
		return m.Parameters, m.Continues
	}
	call := func(message string) { io.WriteString(nc, message+"\x00") }

	call(`{"method": "org.varlink.service.GetInfo"}`)
	info, _ := receive()
	if !reflect.DeepEqual(info["interfaces"], []any{"org.varlink.service", "io.hotsvc"}) || info["version"] != "1.2.3" {
		t.Fatal(info)
	}
	call(`{"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": "io.hotsvc"}}`)
	idl, _ := receive()
	text := idl["description"].(string)
	for _, m := range []string{"interface io.hotsvc\n", "\nmethod Status(services: ?[]string) -> (report: Report)\n", "\nmethod Monitor("} {
		if !strings.Contains(text, m) {
			t.Errorf("the description lacks %q", m)
		}
	}
	call(`{"method": "io.hotsvc.Status", "parameters": {"services": null}}`)
	if answer, continues := receive(); continues || answer["report"].(map[string]any)["schema"] != 1.0 {
		t.Error(answer, continues)
	}
	call(`{"method": "io.hotsvc.Monitor", "parameters": {}, "more": true}`)
	until(t, "the engine is asked", func() bool { return len(f.inputs()) == 2 })
	for _, state := range []string{"starting", "up"} {
		f.server.Deliver(engine.Reply{ID: f.inputs()[1].Call.ID, More: true, Value: status.Change{Service: "a", To: state}})
		if answer, continues := receive(); !continues || answer["changes"].([]any)[0].(map[string]any)["to"] != state {
			t.Error(answer, continues)
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
