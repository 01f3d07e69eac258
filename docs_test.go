package hotsvc

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hotsvc/internal/config"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// What the documents promise is tried on the parsers.

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence    = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	tableRow = regexp.MustCompile(`(?m)^\| (.*) \|$`)
	ofAFile  = regexp.MustCompile(`^# (?:.*/)?([^/\s]+)\.toml\n`)
)

// read parses a text as what it is: hotsvc.toml, rules, or a service.
func read(text string) []toml.Problem {
	name := "any@"
	if m := ofAFile.FindStringSubmatch(text); m != nil {
		name = m[1]
	}
	var problems []toml.Problem
	switch {
	case strings.Contains(text, "[[rule]]"):
		_, problems = rule.Parse("rule", []byte(text), nil)
	case name == "hotsvc":
		_, problems = config.ParseSettings("hotsvc.toml", []byte(text), config.DefaultSettings())
	default:
		_, problems = service.Parse(name, "service", []byte(text), nil)
	}
	return problems
}

// TestBlocksParse: whoever copies an example gets no problem with it, and no
// warning.
func TestBlocksParse(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range append(files, "README.md") {
		for _, m := range fence.FindAllStringSubmatch(document(t, file), -1) {
			if m[1] != "toml" {
				continue
			}
			blocks++
			for _, p := range read(m[2]) {
				t.Errorf("%s: %v in\n%s", file, p, m[2])
			}
		}
	}
	if blocks < 5 {
		t.Errorf("only %d blocks were found", blocks)
	}
}

// A base is what a key needs around it.
const (
	ruleBase    = "[[rule]]\nname = 'a'\nobject = 'link'\nmatch = { up = true }\nrequire = ['a']\n"
	serviceBase = "exec_start = ['a']\n"
)

// with is the base with a line instead of that of the same key.
func with(base, line string) string {
	key, _, _ := strings.Cut(line, " ")
	var kept []string
	for l := range strings.Lines(base) {
		if !strings.HasPrefix(l, key+" ") {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "") + line + "\n"
}

// parsed is what a text means, printed.
func parsed(kind, text string) (string, []toml.Problem) {
	switch kind {
	case "rule":
		damping := rule.DefaultDamping
		rules, problems := rule.Parse("rule", []byte(text), &damping)
		if len(rules) != 1 {
			return "", problems
		}
		return rules[0].String(), problems
	case "service":
		def, problems := service.Parse("a", "service", []byte(text), nil)
		if strings.Contains(text, "{instance}") {
			def, problems = service.Parse("a@", "service", []byte(text), nil)
		}
		return def.String(), problems
	}
	settings, problems := config.ParseSettings("hotsvc.toml", []byte(text), config.DefaultSettings())
	return settings.String(), problems
}

// TestKeyTables: each table of keys says a default that is the default, and an
// example that is right.
func TestKeyTables(t *testing.T) {
	seen := 0
	for _, file := range []string{"docs/rules.md", "docs/services.md"} {
		kind := ""
		for section := range strings.SplitSeq(document(t, file), "\n## ") {
			title, _, _ := strings.Cut(section, "\n")
			switch {
			case title == "hotsvc.toml":
				kind = "settings"
			case title == "Keys":
				kind = strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".md"), "s")
			default:
				continue
			}
			base := map[string]string{"rule": ruleBase, "service": serviceBase}[kind]
			usual, problems := parsed(kind, base)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			for _, row := range tableRow.FindAllStringSubmatch(section, -1) {
				cells := strings.Split(row[1], " | ")
				if len(cells) != 4 || !strings.HasPrefix(cells[0], "`") {
					continue
				}
				seen++
				key := codeSpan.FindStringSubmatch(cells[0])[1]
				if m := codeSpan.FindStringSubmatch(cells[1]); m != nil {
					got, problems := parsed(kind, with(base, key+" = "+m[1]))
					if got != usual || len(problems) > 0 {
						t.Errorf("%s: the default of %s is not %s: %v\n%s", file, key, m[1], problems, got)
					}
				}
				example := codeSpan.FindStringSubmatch(cells[3])[1]
				around := base
				if key == "check" {
					around += "ready = 'check'\n"
				}
				if !strings.HasPrefix(example, key+" = ") {
					t.Errorf("%s: the example of %s is of another key: %s", file, key, example)
				}
				got, problems := parsed(kind, with(around, example))
				if got == usual && key != "object" || len(problems) > 0 {
					t.Errorf("%s: the example %s says nothing, or is wrong: %v", file, example, problems)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d keys are in the tables", seen)
	}
}

// TestMistakesAreTold: the answers in the list of mistakes are the ones given.
func TestMistakesAreTold(t *testing.T) {
	_, section, found := strings.Cut(document(t, "docs/rules.md"), "\n## Ten mistakes")
	if !found {
		t.Fatal("no list of mistakes")
	}
	rows := 0
	for _, row := range tableRow.FindAllStringSubmatch(section, -1) {
		cells := strings.Split(row[1], " | ")
		if len(cells) != 2 || !strings.HasPrefix(cells[0], "`") {
			continue
		}
		rows++
		written, told := strings.Trim(cells[0], "`"), strings.Trim(cells[1], "`")
		var all []string
		for kind, base := range map[string]string{"rule": ruleBase, "service": serviceBase, "rule ": strings.Replace(ruleBase, "link", "device", 1)} {
			_, problems := parsed(strings.TrimSpace(kind), with(base, written))
			for _, p := range problems {
				all = append(all, p.Text)
			}
		}
		if !slices.Contains(all, told) {
			t.Errorf("%s\nis told %q,\nnot %q", written, all, told)
		}
	}
	if rows != 10 {
		t.Errorf("%d mistakes", rows)
	}
}

// getters are the calls by which the parsers take keys out of a table.
var getters = []string{"Text", "Texts", "Bool", "Int", "Time", "OneOf", "Key", "Sub", "Subs", "command", "signal", "names", "one", "others", "dirs"}

// keys lists what the parsers ask for, and the names in the tables of words and
// limits, by reading their sources.
func keys(t *testing.T, pattern string, lists ...string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no files ", pattern, err)
	}
	var found []string
	note := func(e ast.Expr) bool {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return false
		}
		if text, err := strconv.Unquote(lit.Value); err == nil {
			found = append(found, text)
		}
		return true
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.SelectorExpr:
					name = f.Sel.Name
				case *ast.Ident:
					name = f.Name
				}
				for i := 0; slices.Contains(getters, name) && i < min(2, len(n.Args)) && !note(n.Args[i]); i++ {
				}
			case *ast.ValueSpec:
				if !slices.Contains(lists, n.Names[0].Name) || len(n.Values) == 0 {
					break
				}
				ast.Inspect(n.Values[0], func(n ast.Node) bool {
					if e, ok := n.(ast.Expr); ok {
						note(e)
					}
					return true
				})
			}
			return true
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestEveryKeyIsNamed: what the parsers accept stands in the documents.
func TestEveryKeyIsNamed(t *testing.T) {
	for _, c := range []struct {
		file, parsers string
		lists         []string
		least         int
	}{
		{"docs/rules.md", "internal/rule/*.go", []string{"linkWords", "mountWords", "clockWords", "deviceWords", "eventKeys"}, 65},
		{"docs/services.md", "internal/service/*.go", []string{"limitNames"}, 60},
		{"docs/services.md", "internal/config/settings.go", nil, 6},
	} {
		var code strings.Builder
		text := document(t, c.file)
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			code.WriteString(m[2])
		}
		for _, m := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			fmt.Fprintln(&code, m[1])
		}
		all := keys(t, c.parsers, c.lists...)
		if len(all) < c.least {
			t.Errorf("%s: only %d keys were found: %v", c.parsers, len(all), all)
		}
		for _, key := range all {
			if key == "rules" && c.parsers == "internal/rule/*.go" {
				continue // asked for to say that it is wrong
			}
			if !regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(key) + `(\W|$)`).MatchString(code.String()) {
				t.Errorf("%s does not name %s", c.file, key)
			}
		}
	}
}

var update = flag.Bool("update", false, "write docs/hsctl.md anew")

// TestHsctlText: docs/hsctl.md is what hsctl says of itself.
func TestHsctlText(t *testing.T) {
	hsctl := filepath.Join(t.TempDir(), "hsctl")
	if out, err := exec.Command("go", "build", "-o", hsctl, "./cmd/hsctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help := func(args ...string) string {
		cmd := exec.Command(hsctl, append(args, "--help")...)
		cmd.Env = []string{"PATH=/nonexistent"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return "```text\n" + strings.TrimSpace(string(out)) + "\n```\n"
	}
	text := "# hsctl\n\nMade by `go test . -run TestHsctlText -update` from `hsctl --help`; do not edit.\n\n" + help()
	verbs := regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`).FindAllStringSubmatch(help(), -1)
	if len(verbs) < 15 {
		t.Fatalf("only the verbs %v", verbs)
	}
	for _, v := range verbs {
		text += "\n## " + v[1] + "\n\n" + help(v[1])
	}
	const file = "docs/hsctl.md"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if document(t, file) != text {
		t.Errorf("%s is not what hsctl says: go test . -run TestHsctlText -update", file)
	}
}

// TestReadmeShowsTheShippedRule: what README calls the shipped rule is that rule.
func TestReadmeShowsTheShippedRule(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```toml\n[[rule]]")
	block, _, _ = strings.Cut(block, "```")
	shipped, err := os.ReadFile("rules/50-wired.toml")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, source := range []string{"[[rule]]" + block, string(shipped)} {
		rules, problems := rule.Parse("f", []byte(source), nil)
		if len(problems) > 0 || len(rules) != 1 {
			t.Fatal(len(rules), problems)
		}
		texts = append(texts, rules[0].String())
	}
	if texts[0] != texts[1] {
		t.Errorf("README:\n%s\nshipped:\n%s", texts[0], texts[1])
	}
}
