package hotsvc

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// subtests are tests whose parts are files.
var subtests = map[string]string{
	"TestMutants":   "test/mutants/%.txt",
	"TestScenarios": "internal/engine/testdata/scenarios/%.txtar",
}

var testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+(?:/[\w-]+)?`)

// TestNamedTestsAreThere: every test that a document relies on is there.
func TestNamedTestsAreThere(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, "_test.go") {
			var b []byte
			b, err = os.ReadFile(file)
			tests.Write(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, least := range map[string]int{"docs/ARCHITECTURE.md": 20, "docs/field-bugs.md": 40} {
		names := testName.FindAllString(document(t, file), -1)
		if len(names) < least {
			t.Errorf("%s names only %d tests", file, len(names))
		}
		for _, name := range names {
			test, sub, _ := strings.Cut(name, "/")
			if !strings.Contains(tests.String(), "func "+test+"(") {
				t.Errorf("%s names %s, which is not there", file, test)
			}
			if form := subtests[test]; form != "" && sub != "" {
				if _, err := os.Stat(strings.Replace(form, "%", sub, 1)); err != nil {
					t.Errorf("%s names %s: %v", file, name, err)
				}
			}
		}
	}
}

// TestFieldBugsHaveTests: each row of docs/field-bugs.md says what was seen, what
// happens here, and who would notice.
func TestFieldBugsHaveTests(t *testing.T) {
	rows := 0
	for _, row := range tableRow.FindAllStringSubmatch(document(t, "docs/field-bugs.md"), -1) {
		cells := strings.Split(row[1], " | ")
		if cells[0] == "what a person saw" {
			continue
		}
		rows++
		if len(cells) != 4 || !testName.MatchString(cells[2]) {
			t.Errorf("no test in %q", row[1])
		}
	}
	if rows < 20 {
		t.Errorf("%d rows", rows)
	}
}
