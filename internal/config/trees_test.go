package config

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// sv makes a tree: names ending in + are executable.
func sv(name string, files ...string) Source {
	fsys := fstest.MapFS{}
	for _, f := range files {
		f, text, _ := strings.Cut(f, "=")
		f, executable := strings.CutSuffix(f, "+")
		mode := fs.FileMode(0o644)
		if executable {
			mode = 0o755
		}
		fsys[f] = &fstest.MapFile{Data: []byte(text), Mode: mode}
	}
	return Source{Name: name, FS: fsys}
}

func (c *Config) named(name string) string {
	d := c.Services[name]
	switch {
	case d == nil:
		return "none"
	case d.Broken != "":
		return "broken: " + d.Broken
	case d.Masked:
		return "masked"
	}
	return string(d.Dialect) + " " + strings.Join(d.Exec.Start, " ")
}

// expect compares what services are.
func expect(t *testing.T, c *Config, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if got := c.named(name); got != w {
			t.Errorf("%s is %q, want %q", name, got, w)
		}
	}
}

func TestTreesInLayers(t *testing.T) {
	in := input(nil, []Source{
		sv("/a", "web/run+", "web/log/run+", "db/run+", "db/log/run+", "mail/run+"),
		sv("/b", "db.toml=exec_start=['native']", "mail.toml=", "prog+"),
		sv("/c", "bh/pre+", "bh/run+", "web/run+"),
		sv("/d", "x.toml=id='prog'\nexec_start=['hermit']"),
	})
	c, problems := Load(in)
	if toml.HasErrors(problems) {
		t.Fatal(lines(problems))
	}
	expect(t, c, map[string]string{
		"web": "backhand /c/web/run web", "web@": "backhand /c/web/run {instance}", "web/log": "none",
		"db": "native native", "db/log": "none",
		"mail": "masked",
		"bh":   "backhand /c/bh/run bh", "prog": "hermit hermit",
	})
	want := []string{"/a: 3 in the form of runit", "/b: 1 in the form of sysmgr", "/c: 2 in the form of backhand", "/d: 1 in the form of hermit"}
	if !slices.Equal(c.Notes[len(c.Notes)-len(want):], want) {
		t.Errorf("%q", c.Notes)
	}
}

func TestANamedDialectReadsNothingElse(t *testing.T) {
	for d, want := range map[service.Dialect]string{
		service.Native:   "nat",
		service.Runit:    "dir",
		service.Backhand: "dir dir@",
		service.Sysmgr:   "prog",
		service.Hermit:   "nat",
	} {
		tree := sv("/t", "nat.toml=exec_start=['x']", "dir/run+", "prog+")
		tree.Dialect = d
		c, problems := Load(input(nil, []Source{tree}))
		if len(problems) > 0 {
			t.Error(lines(problems))
		}
		var got []string
		for _, name := range c.ServiceNames() {
			if def := c.Services[name]; !strings.HasPrefix(def.Pos.File, builtIn) && def.Dialect == d {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// Rules and native services may name what stands in a tree, and NAME@ too.
func TestNativeNamesTrees(t *testing.T) {
	rules := "[[rule]]\nname='r'\nobject='link'\nmatch={up=true}\nrequire=['web', 'bh@{name}', 'bh', 'prog', 'tty@1']\n"
	services := []Source{
		sv("/etc/s", "a.toml=exec_start=['a']\nneeds=['web', 'bh@x']\nafter=['tty@1']"),
		sv("/sv", "web/run+", "tty@1/run+"), sv("/bh", "bh/run+", "bh/post+"), sv("/sm", "prog+"),
	}
	if _, problems := Load(input([]Source{dir("/r", map[string]string{"r.toml": rules})}, services)); len(problems) > 0 {
		t.Error(lines(problems))
	}
	_, problems := Load(input([]Source{dir("/r", map[string]string{"r.toml": rules})}, services[:1]))
	if !strings.Contains(lines(problems), `/r/r.toml:5:10: require: there is no service "web"`) {
		t.Error(lines(problems))
	}
}

// What is wrong in a tree refuses nothing, and says so.
func TestTreesRefuseNothing(t *testing.T) {
	trees := []Source{sv("/sv", "web/run", "ok/run+"), sv("/h", "a.toml=id='a'\nexec_start='x'", "b.toml=exec_start=['b']")}
	c, problems := Load(input(nil, trees))
	want := `/h/a.toml:2:12: exec_start is a list, one word each, no shell: write ["x"]
/sv/web/run: warning: is no executable file: chmod +x
`
	if c == nil || lines(problems) != want {
		t.Fatal(lines(problems))
	}
	expect(t, c, map[string]string{"web": "broken: /sv/web/run is no executable file: chmod +x", "ok": "runit /sv/ok/run",
		"a": "broken: its file has a problem: /h/a.toml", "b": "hermit b"})
	native := append(trees, sv("/n", "n.toml=exec_start='x'"))
	if c, problems := Load(input(nil, native)); c != nil || len(problems) != 3 {
		t.Errorf("a native problem was let through: %s", lines(problems))
	}
}

func TestTwoFormsOfOneService(t *testing.T) {
	c, problems := Load(input(nil, []Source{sv("/s", "web.toml=exec_start=['x']", "web/run+", "db.toml=", "db/run+")}))
	if lines(problems) != "/s/web.toml: warning: /s/web/run makes a service web too; this file counts\n" {
		t.Error(lines(problems))
	}
	expect(t, c, map[string]string{"web": "native x", "db": "masked"})
}

// rescans reads the trees again after the first load, each as the next says.
func rescans(t *testing.T, rules string, native Source, trees ...Source) (before *Config, each []*Config) {
	t.Helper()
	in := input([]Source{dir("/r", map[string]string{"r.toml": rules})}, []Source{native, trees[0]})
	before, problems := Load(in)
	if before == nil {
		t.Fatal(lines(problems))
	}
	was := before
	for _, next := range trees[1:] {
		in.Services, in.Was = []Source{native, next}, was
		was = Rescan(in)
		each = append(each, was)
	}
	return before, each
}

func TestRescanReadsTheTreesAlone(t *testing.T) {
	in := input([]Source{dir("/r", map[string]string{"r.toml": ruleText("r")})}, []Source{sv("/n", "fw.toml=exec_start=['fw']"), sv("/sv", "web/run+")})
	c, problems := Load(in)
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	in.Was = c
	in.Rules = []Source{dir("/r", map[string]string{"r.toml": "nonsense"})}
	in.Services[0] = sv("/n", "fw.toml=nonsense", "new.toml=exec_start=['x']", "prog+")
	if again := Rescan(in); again.named("prog") != "sysmgr /n/prog /n/prog" || again.named("fw") != "native fw" || len(again.Rules) != 1 || len(again.Problems) > 0 {
		t.Errorf("%s %s %s", again.named("prog"), again.named("fw"), lines(again.Problems))
	}
	in.Services[0] = sv("/n", "fw.toml=nonsense")
	if Rescan(in) != c {
		t.Error("nothing changed in the trees, and the configuration is another one")
	}
}

func TestRescanAddsChangesAndForgets(t *testing.T) {
	none := sv("/n")
	_, each := rescans(t, "", none,
		sv("/sv", "web/run+"),
		sv("/sv", "web/run+", "db/run+", "db/finish+"),
		sv("/sv", "db/run+"),
		sv("/sv", "db/run+", "h.toml=id='x'\nexec_start=['one']"),
		sv("/sv", "db/run+", "h.toml=id='x'\nexec_start=['two']"))
	for i, want := range []map[string]string{
		{"web": "runit /sv/web/run", "db": "runit /sv/db/run"},
		{"web": "none"},
		{"x": "hermit one"},
		{"x": "hermit two", "db": "runit /sv/db/run"},
	} {
		expect(t, each[i], want)
	}
}

// HM-9, and the same for a directory: what is broken while it is being replaced
// stays as it was, and is reported; a new one has nothing to stay.
func TestWhatBreaksStaysAsItWas(t *testing.T) {
	before, each := rescans(t, "", sv("/n"),
		sv("/sv", "web/run+", "web/log/run+", "db/run+", "h.toml=id='x'\nexec_start=['one']"),
		sv("/sv", "web/run", "web/log/run+", "db/run+", "h.toml=exec_start=[", "new/run"),
		sv("/sv", "web/run+", "web/log/run", "db/run+", "db/down", "h.toml=id='x'\nexec_start=['two']"))
	expect(t, each[0], map[string]string{"web": "runit /sv/web/run", "web/log": "runit /sv/web/log/run", "x": "hermit one", "h": "none",
		"new": "broken: /sv/new/run is no executable file: chmod +x"})
	if got := lines(each[0].Problems); strings.Count(got, "\n") != 3 || !strings.Contains(got, "/sv/h.toml:1:") {
		t.Error(got)
	}
	expect(t, each[1], map[string]string{"web/log": "runit /sv/web/log/run", "x": "hermit two"})
	if web := each[1].Services["web"]; web.ExecHash() != before.Services["web"].ExecHash() {
		t.Error("a logger that cannot run restarts its service")
	}
	if !each[1].Services["db"].Policy.StartAtBoot {
		t.Error("a file down stops what runs")
	}
}

// What native files name and a tree has no more is known as gone: its
// dependents wait for it, and no native file counts as wrong.
func TestWhatIsNamedAndGone(t *testing.T) {
	rules := strings.Replace(ruleText("r"), "'fw'", "'fw', 'web', 'bh@{name}'", 1)
	native := sv("/n", "fw.toml=exec_start=['fw']\nneeds=['web']")
	full := sv("/sv", "web/run+", "bh/pre+", "bh/run+")
	_, each := rescans(t, rules, native, full, sv("/sv", "other/run+", "other/pre+"), full)
	expect(t, each[0], map[string]string{"fw": "native fw",
		"web": "broken: /sv/web is gone: put it back, or take web out of what names it",
		"bh@": "broken: /sv/bh is gone: put it back, or take bh@{name} out of what names it"})
	if len(each[0].Rules) != 1 || toml.HasErrors(each[0].Problems) {
		t.Error(lines(each[0].Problems))
	}
	expect(t, each[1], map[string]string{"web": "backhand /sv/web/run web"})
	if len(each[1].Problems) > 0 {
		t.Error(lines(each[1].Problems))
	}
}

// W-RV-3: a directory that was removed and made anew is another service.
func TestDirectoryMadeAnew(t *testing.T) {
	number := uint64(1)
	tree := sv("/sv", "web/run+")
	tree.Identity = func(string) uint64 { return number }
	in := input(nil, []Source{tree})
	c, _ := Load(in)
	number, in.Was = 2, c
	if again := Rescan(in); again.Services["web"].ExecHash() == c.Services["web"].ExecHash() {
		t.Error("the new directory's service is the old one's")
	}
}

func TestClaims(t *testing.T) {
	in := input(nil, []Source{sv("/sv", "web/run+", "web/log/run+", "db/run+", "off/run+"), sv("/n", "off.toml=", "prog+")})
	var asked []string
	in.Claim = func(dir string) error {
		if asked = append(asked, dir); dir == "/sv/db" {
			return errors.New("/sv/db: runsv (pid 7) supervises it already: stop that one first")
		}
		return nil
	}
	c, problems := Load(in)
	if !slices.Equal(asked, []string{"/sv/db", "/sv/web", "/sv/web/log"}) {
		t.Errorf("%q", asked)
	}
	expect(t, c, map[string]string{"db": "broken: /sv/db: runsv (pid 7) supervises it already: stop that one first"})
	if !strings.Contains(lines(problems), "/sv/db/run: warning: /sv/db: runsv (pid 7)") {
		t.Error(lines(problems))
	}
}

func TestSettingsNameDialects(t *testing.T) {
	s, problems := ParseSettings("hotsvc.toml", []byte(`services = ["/a", "runit:/etc/sv"]`), DefaultSettings())
	if len(problems) > 0 || !slices.Equal(s.ServiceDirs, []string{"/a", "runit:/etc/sv"}) {
		t.Error(s.ServiceDirs, lines(problems))
	}
	for text, want := range map[string]string{
		`services = ["runnit:/etc/sv"]`: `hotsvc.toml:1:13: services: "runnit:/etc/sv" is no absolute path: before a colon stands "native", "runit", "backhand", "sysmgr" or "hermit"; did you mean runit?`,
		`services = ["runit:sv"]`:       `hotsvc.toml:1:13: services: "runit:sv" is no absolute path`,
		`rules = ["runit:/r"]`:          `hotsvc.toml:1:10: rules: "runit:/r" is no absolute path`,
	} {
		if _, problems := ParseSettings("hotsvc.toml", []byte(text), DefaultSettings()); lines(problems) != want+"\n" {
			t.Errorf("%s\nwant\n%s", lines(problems), want)
		}
	}
}

func TestWhatIsATree(t *testing.T) {
	for note, root := range map[string]Source{
		"/sv: 1 in the form of runit":    sv("/sv", "web/run+"),
		"/sv: 2 in the form of backhand": {Name: "/sv", FS: sv("/sv", "web/x", "db/x").FS, Dialect: service.Backhand},
		"":                               sv("/sv", "web.toml=exec_start=['x']"),
	} {
		in := input(nil, []Source{root})
		c, problems := Load(in)
		if !HasServices(in) || len(problems) > 0 || note != "" && !slices.Contains(c.Notes, note) || note == "" && c.named("web") != "native x" {
			t.Errorf("%q: %s", note, lines(problems))
		}
	}
	for _, file := range []string{"a.toml=", "50-wired.toml=[[rule]]"} {
		if HasServices(input(nil, []Source{sv("/x", file)})) {
			t.Errorf("%q passes for a tree of services", file)
		}
	}
}

// A daemon that begins again in the same boot: what was written down stands for
// what is broken now, and the next look at the trees sees them as they are.
func TestTheNextDaemonKeepsWhatBroke(t *testing.T) {
	in := input(nil, []Source{sv("/n", "a.toml=exec_start=['a']", "c.toml=exec_start=['c']\nrestart='never'", "db.toml=exec_start=['native']"), sv("/sv", "web/run+", "db/run+"), sv("/m", "db.toml=exec_start=['above']")})
	in.Settings.ServiceDirs = []string{"/n", "/sv", "/m"}
	c, problems := Load(in)
	if len(problems) > 0 || !c.Whole() {
		t.Fatal(lines(problems))
	}
	last, err := FromArchive(c.Archive())
	if err != nil {
		t.Fatal(err)
	}
	in.Strict, in.Was = false, last
	in.Services[1] = sv("/sv", "web/run", "web/down", "db/run+")
	begun, _ := Load(in)
	expect(t, begun, map[string]string{"web": "runit /sv/web/run", "a": "native a"})
	in.Services[1] = sv("/sv", "web/run+", "web/down")
	if begun, _ := Load(in); begun.Services["web"].Policy.StartAtBoot {
		t.Error("a daemon that begins does not heed the file down")
	}
	in.Services[0] = sv("/n", "a.toml=exec_start='a'", "c.toml=exec_start=['c']\nrestart='never'")
	bad, problems := Load(in)
	if bad.Whole() || len(problems) != 1 {
		t.Fatal(lines(problems))
	}
	kept := last.Despite(bad)
	expect(t, kept, map[string]string{"a": "native a", "db": "native above"})
	in.Was, in.Services[1] = kept, sv("/sv", "new/run+", "db/run+")
	again := Rescan(in)
	expect(t, again, map[string]string{"a": "native a", "db": "native above", "new": "runit /sv/new/run", "web": "none"})
	if lines(again.Problems) != lines(problems) {
		t.Errorf("%s\nwant\n%s", lines(again.Problems), lines(problems))
	}
}

// What others could have written must not go on as it was.
func TestDoubtedServiceIsNotKept(t *testing.T) {
	tree := sv("/sv", "web/run+", "ok/run+")
	in := input(nil, []Source{tree})
	c, _ := Load(in)
	tree.Trust = func(name string) error {
		if name == "web/run" {
			return errors.New("others may write to /sv/web/run")
		}
		return nil
	}
	in.Services, in.Was = []Source{tree}, c
	expect(t, Rescan(in), map[string]string{"web": "broken: others may write to /sv/web/run", "ok": "runit /sv/ok/run"})
}
