package config

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hotsvc/internal/toml"
)

// dir makes a directory of files.
func dir(name string, files map[string]string) Source {
	fsys := fstest.MapFS{}
	for f, text := range files {
		fsys[f] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return Source{Name: name, FS: fsys}
}

// missing is a directory that is not there.
var missing = func() Source {
	sub, err := fs.Sub(fstest.MapFS{}, "none")
	if err != nil {
		panic(err)
	}
	return Source{Name: "/none", FS: sub}
}()

func ruleText(name string) string {
	return "[[rule]]\nname = '" + name + "'\nobject = 'link'\nmatch = { up = true }\nrequire = ['fw']\n"
}

func lines(problems []toml.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func input(rules, services []Source) Input {
	return Input{Settings: DefaultSettings(), Rules: rules, Services: services, Strict: true}
}

// rooted is the input that a directory with rules.d and services in it makes.
func rooted(root fs.FS) Input {
	sub := func(name string) []Source {
		dir, err := fs.Sub(root, name)
		if err != nil {
			panic(err)
		}
		return []Source{{Name: name, FS: dir}}
	}
	return input(sub("rules.d"), sub("services"))
}

func TestLayers(t *testing.T) {
	c, problems := Load(input(
		[]Source{
			dir("/usr/rules.d", map[string]string{"50-b.toml": ruleText("b-usr"), "40-a.toml": ruleText("a") + ruleText("a2"), "60-c.toml": ruleText("c"), "70-d.toml": ruleText("d")}),
			missing,
			dir("/etc/rules.d", map[string]string{"50-b.toml": ruleText("b-etc"), "60-c.toml": "\n", "45-e.toml": ruleText("e")}),
		},
		[]Source{
			dir("/usr/services", map[string]string{"fw.toml": "exec_start=['usr']", "log.toml": "exec_start=['log']", "dhcp@.toml": "exec_start=['mine']"}),
			dir("/etc/services", map[string]string{"fw.toml": "exec_start=['etc']", "log.toml": ""}),
		},
	))
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	var names []string
	for _, r := range c.Rules {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"a", "a2", "e", "b-etc", "d"}) {
		t.Error(names)
	}
	if got := c.Rules[3].Pos.String(); got != "/etc/rules.d/50-b.toml:1:1" {
		t.Error(got)
	}
	if got := c.ServiceNames(); !slices.Equal(got, []string{"dhcp-pinger@", "dhcp@", "dhcpd@", "dnsmasq", "ftpd", "fw", "getty@", "gpm", "httpd", "inetd", "log", "nmeter", "ntpd", "supplicant@", "tftpd", "zeroconf@"}) {
		t.Error(got)
	}
	if c.Services["fw"].Exec.Start[0] != "etc" || !c.Services["log"].Masked || c.Service("dhcp@wan0").Exec.Start[0] != "mine" || c.Service("none") != nil {
		t.Error("the wrong layer counts")
	}
	for _, over := range []string{"['usr']", "b-usr", "'c'", "['log']"} {
		if bytes.Contains(c.Archive(), []byte(over)) {
			t.Errorf("the archive holds %s, which a later layer overrides", over)
		}
	}
}

func TestBuiltInRules(t *testing.T) {
	for _, c := range []struct {
		rules []Source
		want  int
	}{
		{nil, 3},
		{[]Source{missing}, 3},
		{[]Source{missing, dir("/etc/rules.d", nil)}, 0}, // there, and empty: nothing is to happen
	} {
		got, problems := Load(input(c.rules, nil))
		if len(problems) > 0 || len(got.Rules) != c.want {
			t.Errorf("%d rules, want %d: %s", len(got.Rules), c.want, lines(problems))
		}
	}
}

func TestLeftovers(t *testing.T) {
	services := fstest.MapFS{}
	for name, mode := range map[string]fs.FileMode{
		".#fw.toml": 0o644, "#fw.toml#": 0o644, "fw.toml~": 0o644, ".fw.toml.swp": 0o644, "fw.toml.dpkg-new": 0o755, "README": 0o644,
		"fw.toml.rpmsave": 0o644, "prog": 0o755, "getty@/run": 0o755, ".git/x": 0o644,
	} {
		services[name] = &fstest.MapFile{Data: []byte("?"), Mode: mode}
	}
	rules := dir("/etc/rules.d", map[string]string{"a.toml.bak": "?", "a.conf": "?", "sub/a.toml": "?"})
	c, problems := Load(input([]Source{rules}, []Source{{Name: "/etc/services", FS: services}}))
	var found []string
	for _, name := range c.ServiceNames() {
		if d := c.Services[name]; !strings.HasPrefix(d.Pos.File, builtIn) {
			found = append(found, name+" "+string(d.Dialect))
		}
	}
	if len(problems) > 0 || !slices.Equal(found, []string{"getty@ runit"}) {
		t.Error(found, lines(problems))
	}
}

func TestUnreadable(t *testing.T) {
	long := strings.Repeat("# long\n", maxFile/7+1)
	_, problems := Load(input([]Source{dir("/etc/rules.d", map[string]string{"a.toml": long, "b.toml/x": ""})}, nil))
	want := "/etc/rules.d/a.toml: cannot be read: longer than 1048576 bytes\n/etc/rules.d/b.toml: cannot be read: it is no file\n"
	if lines(problems) != want {
		t.Error(lines(problems))
	}
	special := fstest.MapFS{
		"fifo.toml": &fstest.MapFile{Mode: fs.ModeNamedPipe | 0o644},
		"null.toml": &fstest.MapFile{Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}, // a link to /dev/null masks
	}
	c, problems := Load(Input{Services: []Source{{Name: "/s", FS: special}}})
	if want := "/s/fifo.toml: cannot be read: it is no file\n"; lines(problems) != want || !c.Services["null"].Masked {
		t.Error(lines(problems))
	}
	if _, problems := Load(input([]Source{dir("/etc/rules.d", map[string]string{"a.toml": long[:maxFile]})}, nil)); strings.Contains(lines(problems), "longer") {
		t.Error("a file of just the greatest length is refused")
	}
}

// At start a bad file falls back to the layer below, and takes nothing else along.
func TestStartWithBadFiles(t *testing.T) {
	in := input(
		[]Source{dir("/etc/rules.d", map[string]string{
			"a.toml": ruleText("a"),
			"b.toml": "[[rule]]\nname = 5",
			"c.toml": strings.Replace(ruleText("c"), "'fw'", "'fw', 'nobody'", 1),
		})},
		[]Source{
			dir("/usr/services", map[string]string{"fw.toml": "exec_start=['usr']", "x.toml": "exec_start=['x']\nneeds=['y']", "y.toml": "exec_start=['y']"}),
			dir("/etc/services", map[string]string{"fw.toml": "exec_start='etc'", "y.toml": "exec_start=['y']\nneeds=['x']", "z.toml": "exec_start=['z']\nneeds=['bad']", "bad.toml": "["}),
		},
	)
	if c, _ := Load(in); c != nil {
		t.Error("a reload with problems is not refused")
	}
	in.Strict = false
	c, problems := Load(in)
	want := `rule a
service bad: its file has an error: /etc/services/bad.toml:1:1: a service needs exec_start: write exec_start = ["program", "argument"]
service fw
service x
service y
service z
`
	if got := summary(c); got != want {
		t.Errorf("%s\n%s", got, lines(problems))
	}
	if c.Services["fw"].Exec.Start[0] != "usr" || !c.Services["bad"].Masked || c.Services["y"].Policy.Needs != nil {
		t.Error("no fallback to the layer below")
	}
	if !slices.Equal(c.Problems, problems) || !toml.HasErrors(problems) {
		t.Error("the problems are not kept")
	}
}

func TestArchive(t *testing.T) {
	in := input(
		[]Source{dir("/etc/rules.d", map[string]string{"a b.toml": ruleText("a") + "\n# -- not a part --\n", "bad.toml": "?", "c.toml": "# x\n-- part --\n"})},
		[]Source{
			dir("/usr/services", map[string]string{"fw.toml": "exec_start = ['usr']", "masked.toml": "exec_start = ['x']"}),
			dir("/etc/services", map[string]string{"fw.toml": "exec_start = '\n", "masked.toml": ""}),
		},
	)
	in.Strict = false
	in.Mounts = []string{"/home", "/a b\n"}
	in.Settings.LogLevel = "debug"
	in.Settings.Damping = nil
	in.Find = func(name string) string {
		return map[string]string{"dhclient": "/sbin/dhclient"}[name]
	}
	c, problems := Load(in)
	again, err := FromArchive(c.Archive())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Archive(), c.Archive()) {
		t.Errorf("%s\nthen\n%s", c.Archive(), again.Archive())
	}
	if lines(again.Problems) != lines(problems) || summary(again) != summary(c) || again.Settings.String() != c.Settings.String() {
		t.Errorf("%s%s\nthen\n%s%s", lines(problems), summary(c), lines(again.Problems), summary(again))
	}
	for name, d := range c.Services {
		if again.Services[name].String() != d.String() || again.Services[name].Pos != d.Pos {
			t.Errorf("%s is another: %s", name, again.Services[name])
		}
	}
	for _, text := range []string{"", "nonsense", "-- x --\n", "-- mounts --\nx\n", "-- settings --\n?\n", "-- rules \"a --\n"} {
		if _, err := FromArchive([]byte(text)); err == nil {
			t.Errorf("%q passes for an archive", text)
		}
	}
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte("-- settings --\nudev = 'no'\n-- rules \"a.toml\" \"/a.toml\" --\n[[rule]]\n"))
	f.Add([]byte("-- quoted services \"a.toml\" \"/a.toml\" --\n>-- x --\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := FromArchive(data)
		if err != nil {
			return
		}
		again, err := FromArchive(c.Archive())
		if err != nil || !bytes.Equal(again.Archive(), c.Archive()) {
			t.Fatalf("%q\nthen\n%q\n%v", c.Archive(), again.Archive(), err)
		}
	})
}

func TestReads(t *testing.T) {
	c, problems := Load(input(
		[]Source{dir("/r", map[string]string{"a.toml": "[[rule]]\nname='a'\nobject='device'\nmatch={'ATTR{a}'='1'}\nrequire=['fw']"})},
		[]Source{dir("/s", map[string]string{"fw.toml": "exec_start=['{ATTRS{b}}', '{default4}']\ngate=[{object='device',match={'ATTR{c}'='x'}}]\nenv={X='{ATTR{d}}{ssid}'}"})},
	))
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	if got := c.AttrNames(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Error(got)
	}
	for word, want := range map[string]bool{"default4": true, "ssid": true, "ATTR{a}": true, "default6": false} {
		if rules, defs := c.Reads(word); (rules || defs[c.Services["fw"]]) != want {
			t.Errorf("%s: %v", word, !want)
		}
	}
}

func TestSettings(t *testing.T) {
	s, problems := ParseSettings("hotsvc.toml", []byte("udev='no'\nsocket_group='wheel'\nlog='warn'\ndamping=false\nrules=['/r']\nservices=[]"), DefaultSettings())
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	if s.Udev != "no" || s.SocketGroup != "wheel" || s.LogLevel != "warn" || s.Damping != nil || !slices.Equal(s.RulesDirs, []string{"/r"}) || len(s.ServiceDirs) != 0 {
		t.Errorf("%+v", s)
	}
	again, _ := ParseSettings("x", []byte(s.String()), DefaultSettings())
	if again.String() != s.String() {
		t.Error(again.String())
	}
}

func BenchmarkLoad(b *testing.B) {
	rules, services := map[string]string{}, map[string]string{}
	for i := range 200 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		rules[name+".toml"] = ruleText(name)
		services[name+".toml"] = "exec_start=['x']\nneeds=['fw']"
	}
	services["fw.toml"] = "exec_start=['fw']"
	in := input([]Source{dir("/r", rules)}, []Source{dir("/s", services)})
	for b.Loop() {
		if c, problems := Load(in); c == nil {
			b.Fatal(lines(problems))
		}
	}
}
