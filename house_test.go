// Package hotsvc has no code of its own: only the test of the house's plan.
package hotsvc

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors is the house from the cellar up: a room may import rooms of its own
// floor, where the list says so, and of those below. Pure rooms may not even
// import what would let them touch the system.
var floors = []struct {
	name  string
	pure  bool
	rooms []string
}{
	{"words", true, []string{"internal/toml", "internal/object", "internal/match", "internal/resync", "rules", "services"}},
	{"rules and services", true, []string{"internal/rule", "internal/service", "internal/hold", "internal/dialect"}},
	{"values", true, []string{"internal/config", "internal/status"}},
	{"engine", true, []string{"internal/engine"}},
	{"edges", false, []string{"internal/nlsource", "internal/sysfs", "internal/trust", "internal/uevent", "internal/linkwatch", "internal/hostwatch",
		"internal/svlog", "internal/dirwatch", "internal/supervise", "internal/superdir", "internal/control", "internal/layout"}},
	{"faces", false, []string{"internal/compat", "internal/compat/runit", "internal/compat/chpst", "internal/compat/backhand", "internal/compat/sysmgr", "internal/compat/svlogd"}},
	{"commands", false, []string{"cmd/hotsvc", "cmd/hsctl"}},
}

// inFloor are the imports within a floor that are meant.
var inFloor = map[string][]string{
	"internal/match":     {"internal/toml"},
	"internal/hold":      {"internal/rule"},
	"internal/service":   {"internal/rule"},
	"internal/dialect":   {"internal/service"},
	"internal/uevent":    {"internal/nlsource", "internal/sysfs"},
	"internal/linkwatch": {"internal/nlsource", "internal/sysfs"},
	"internal/nlsource":  {},
	"internal/supervise": {"internal/svlog", "internal/trust"},
	"internal/layout":    {"internal/supervise", "internal/trust"},

	"internal/compat/runit":    {"internal/compat"},
	"internal/compat/chpst":    {"internal/compat"},
	"internal/compat/backhand": {"internal/compat"},
	"internal/compat/sysmgr":   {"internal/compat"},
	"internal/compat/svlogd":   {"internal/compat"},
}

// touches are imports that reach out of a pure room.
var touches = []string{"os", "os/", "net", "net/", "syscall", "golang.org/x/sys/", "math/rand", "sync", "runtime", "log", "context"}

// TestHouse keeps imports going one way.
func TestHouse(t *testing.T) {
	level := map[string]int{}
	for i, f := range floors {
		for _, r := range f.rooms {
			level[r] = i
		}
	}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "tools/") {
			return err
		}
		room := path.Dir(filepath.ToSlash(file))
		if room == "internal/livetest" { // for tests alone
			return nil
		}
		floor, known := level[room]
		if !known {
			t.Errorf("%s: the room %s has no floor: give it one in house_test.go", file, room)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			if to, ours := strings.CutPrefix(name, "hotsvc/"); ours {
				switch other := level[to]; {
				case other > floor:
					t.Errorf("%s imports %s, a floor above it", file, to)
				case other == floor && !slices.Contains(inFloor[room], to):
					t.Errorf("%s imports its neighbour %s", file, to)
				}
				continue
			}
			if floors[floor].pure && file != "internal/engine/run.go" && slices.ContainsFunc(touches, func(p string) bool {
				return name == p || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p)
			}) {
				t.Errorf("%s is in a pure room and imports %s", file, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryRoomSaysWhatItIs: each package's doc.go says Is, Owns and Never.
func TestEveryRoomSaysWhatItIs(t *testing.T) {
	for _, f := range floors {
		for _, room := range f.rooms {
			if room == "rules" || room == "services" {
				continue // files for people; embed.go is all the code
			}
			text, err := os.ReadFile(filepath.Join(room, "doc.go"))
			if err != nil {
				t.Error(err)
				continue
			}
			for _, word := range []string{"Is: ", "Owns: ", "Never: "} {
				if !strings.Contains(string(text), word) {
					t.Errorf("%s/doc.go does not say %q", room, word)
				}
			}
		}
	}
}
