package hotsvc

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// subtests are tests whose parts are files.
var subtests = map[string]string{
	"TestMutants":     "test/mutants/%.txt",
	"TestScenarios":   "internal/engine/testdata/scenarios/%.txtar",
	"TestTranscripts": "internal/compat/runit/testdata/%.txt",
	"TestTrees":       "internal/dialect/testdata/%.txtar",
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
	for file, least := range map[string]int{"docs/ARCHITECTURE.md": 20, "docs/field-bugs.md": 40, "docs/compat.md": 200} {
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

// statements are the numbers of what the older systems do, and of the
// weaknesses that came with it: from, to.
var statements = map[string][][2]int{
	"BH": {{1, 8}, {10, 15}, {20, 26}, {30, 35}, {40, 46}}, "SM": {{1, 7}, {10, 12}, {20, 23}, {30, 35}, {40, 43}},
	"RV": {{1, 17}}, "OS": {{1, 6}}, "SV": {{1, 7}}, "SVC": {{1, 4}}, "RD": {{1, 6}}, "SL": {{1, 11}}, "CH": {{1, 4}},
	"EX": {{1, 6}, {10, 14}}, "HM": {{1, 10}}, "W-BH": {{1, 9}}, "W-SM": {{1, 6}}, "W-RV": {{1, 14}},
}

// TestEveryStatementIsAnswered: docs/compat.md says of each statement, once,
// whether it is kept, or why not, and by which test one can tell.
func TestEveryStatementIsAnswered(t *testing.T) {
	rows := map[string][]string{}
	for _, row := range tableRow.FindAllStringSubmatch(document(t, "docs/compat.md"), -1) {
		cells := strings.Split(row[1], " | ")
		if !strings.Contains(cells[0], "-") {
			continue // a heading
		}
		if rows[cells[0]] != nil {
			t.Errorf("%s stands there twice", cells[0])
		}
		rows[cells[0]] = cells
	}
	for kind, ranges := range statements {
		for _, r := range ranges {
			for n := r[0]; n <= r[1]; n++ {
				id := kind + "-" + strconv.Itoa(n)
				cells := rows[id]
				switch {
				case len(cells) != 4:
					t.Errorf("%s has no row of four cells: %q", id, cells)
				case !testName.MatchString(cells[3]):
					t.Errorf("%s names no test", id)
				case !strings.HasPrefix(kind, "W-") && !strings.HasPrefix(cells[2], "kept") && !regexp.MustCompile(`^declined(, because|:) .`).MatchString(cells[2]):
					t.Errorf("%s is neither kept nor declined with a reason: %q", id, cells[2])
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
