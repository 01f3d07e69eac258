package engine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMutants proves that the walk can see. Each file in testdata/mutants is a
// mistake that somebody could make: it names a source file, some lines of it
// and what they become. The walk, built with that change by an overlay, has to
// find it. The sources themselves have no switch for any of this.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("short: each mutant is a build and a walk")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command: mutants have to be built")
	}
	files, err := filepath.Glob("testdata/mutants/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("no mutants: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			overlay := mutate(t, file)
			cmd := exec.Command(goTool, "test", "-overlay", overlay, "-run", "TestWalk$", "-count=1", "-vet=off",
				"-timeout", "60s", ".", "-args", "-sim.steps", "190000")
			begin := time.Now()
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the walk did not notice: %s", firstLine(t, file))
			}
			found := ""
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "seed ") || strings.Contains(line, "panic: ") {
					found = strings.TrimSpace(line)
					break
				}
			}
			if found == "" {
				t.Fatalf("it failed, but not by what the walk saw:\n%s", out)
			}
			t.Logf("%.1fs: %.160s", time.Since(begin).Seconds(), found)
		})
	}
}

func firstLine(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// mutate writes the changed source and the overlay that puts it in place.
func mutate(t *testing.T, file string) (overlay string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n-- ")
	name, rest, _ := strings.Cut(rest, "\n")
	old, change, ok := strings.Cut(rest, "++\n")
	if !ok {
		t.Fatalf("%s: no ++ line", file)
	}
	source, err := filepath.Abs(name)
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
	mutant := filepath.Join(dir, filepath.Base(source))
	if err := os.WriteFile(mutant, []byte(strings.Replace(string(code), old, change, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {source: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
