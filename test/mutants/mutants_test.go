// Package mutants has no code of its own: only the mistakes that the tests must
// be able to see.
package mutants

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "also the mutants that take long: those whose second line says `slow`")

// patience is how long a test may take to find a mistake, without the build.
const patience = "120s"

// TestMutants proves that the tests can see. Each file here is a mistake that
// somebody could make:
//
//	What is wrong then, in one line.
//	by ./internal/resync TestLossAtEachIndex     who has to find it; without this line, the walk
//	-- internal/resync/machine.go                a source file, by its path in the module
//	some lines of it
//	++
//	what they become
//
// "slow by …" is left to `make mutants`. The test is built with the change by an
// overlay and has to fail; the sources themselves have no switch for any of
// this. That it passes without the change is for the test itself to show.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("short: each mutant is a build and a run of a test")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command: mutants have to be built")
	}
	files, err := filepath.Glob("*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("no mutants: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".txt"), func(t *testing.T) {
			m := read(t, file)
			if m.slow && !*all {
				t.Skip("slow: `make mutants` has it")
			}
			t.Parallel()
			walk := m.test == "TestWalk"
			args := []string{"test", "-C", "../..", "-overlay", m.overlay, "-run", "^" + m.test + "$", "-v", "-count=1", "-vet=off", "-timeout", patience, m.room}
			if walk {
				args = append(args, "-args", "-sim.steps", "190000")
			}
			begin := time.Now()
			out, err := exec.Command(goTool, args...).CombinedOutput()
			skipped, found := "", ""
			for line := range strings.Lines(string(out)) {
				line = strings.TrimSpace(line)
				switch {
				case found != "":
				case strings.HasPrefix(line, "panic: "), walk && strings.Contains(line, "seed "), !walk && strings.HasPrefix(line, "--- FAIL: "):
					found = line
				case strings.HasPrefix(line, "--- SKIP: "):
					skipped = line
				}
			}
			switch {
			case err != nil && found != "":
				t.Logf("%.1fs: %.160s", time.Since(begin).Seconds(), found)
			case err != nil:
				t.Errorf("it failed, but not by what %s saw:\n%s", m.test, out)
			case skipped != "":
				t.Skip("who has to find it was skipped: " + skipped)
			default:
				t.Errorf("%s did not notice: %s", m.test, m.what)
			}
		})
	}
}

// mutant is one file.
type mutant struct {
	what       string
	room, test string
	slow       bool
	overlay    string
}

// read takes a mutant in, and writes the changed source and the overlay that puts
// it in place.
func read(t *testing.T, file string) mutant {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(b), "\n-- ")
	name, rest, _ := strings.Cut(rest, "\n")
	old, change, ok := strings.Cut(rest, "++\n")
	m := mutant{room: "./internal/engine", test: "TestWalk"}
	what, by, _ := strings.Cut(head, "\n")
	m.what = what
	by, m.slow = strings.CutPrefix(by, "slow ")
	if f := strings.Fields(by); len(f) == 3 && f[0] == "by" {
		m.room, m.test = f[1], f[2]
	} else if len(f) > 0 {
		t.Fatalf("%s: its second line is not: by PACKAGE TEST", file)
	}
	if !ok {
		t.Fatalf("%s: no ++ line", file)
	}
	source, err := filepath.Abs(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	old, change = strings.TrimSuffix(old, "\n"), strings.TrimSuffix(change, "\n")
	if n := strings.Count(string(code), old); n != 1 {
		t.Fatalf("%s: its lines stand %d times in %s: the mutant has to follow the code", file, n, name)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(source))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(code), old, change, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	m.overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(m.overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}
