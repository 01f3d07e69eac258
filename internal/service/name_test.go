package service

import (
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/match"
)

func TestSplit(t *testing.T) {
	for name, want := range map[string][2]string{
		"fw": {"fw", ""}, "dhcp@wan0": {"dhcp@", "wan0"}, "dhcp@": {"dhcp@", ""}, "a@b@c": {"a@", "b@c"}, "getty@/dev/tty0": {"getty@", "/dev/tty0"},
		"": {"", ""}, "@x": {"@", "x"},
	} {
		if template, instance := Split(name); template != want[0] || instance != want[1] {
			t.Errorf("%q: %q, %q", name, template, instance)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"fw", "dhcp@wan0", "getty@/dev/tty0", "a@b@c", "x@größe", "x@a b", "0a.b:c+d-e_f", "x@" + strings.Repeat("y", 228)} {
		if wrong := CheckName(good); wrong != "" {
			t.Errorf("%q: %s", good, wrong)
		}
	}
	for _, bad := range []string{"", "@", "@x", "a b", "../x", ".x", "-x", "a/b@c", "dhcp@", "x@\x00", "x@a\nb", "x@\xff", "x@" + strings.Repeat("y", 230), "x@" + strings.Repeat("/", 80), strings.Repeat("x", 129)} {
		if CheckName(bad) == "" {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestFileName(t *testing.T) {
	for service, want := range map[string]string{
		"dhcp@wan0": "dhcp@wan0", "getty@/dev/tty0": "getty@%2Fdev%2Ftty0", "a@b c%": "a@b%20c%25", ".x": "%2Ex", "a.b": "a.b", "..": "%2E.",
	} {
		if got := FileName(service); got != want {
			t.Errorf("%q: %q, want %q", service, got, want)
		}
	}
	for _, never := range []string{"", "%", "%2", "%zz", "a%2fb", "%41", "a b", ".x", "a/b"} {
		if got, ok := FromFileName(never); ok {
			t.Errorf("%q gives %q", never, got)
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("getty@/dev/tty0")
	f.Add("\x00.%/ü")
	f.Fuzz(func(t *testing.T, name string) {
		file := FileName(name)
		if strings.ContainsAny(file, "/\x00") || strings.HasPrefix(file, ".") {
			t.Fatalf("%q: %q is no safe file name", name, file)
		}
		if back, ok := FromFileName(file); back != name || ok != (name != "") {
			t.Fatalf("%q: %q comes back as %q", name, file, back)
		}
	})
}

func TestReplaceWords(t *testing.T) {
	words := map[string]string{"instance": "wan0", "ATTR{x}": "7", "name": "{instance}"}
	word := func(w string) (string, bool) { v, ok := words[w]; return v, ok }
	for _, c := range [][2]string{
		{"plain", "plain"},
		{"{instance}", "wan0"},
		{"a{instance}b{ATTR{x}}", "awan0b7"},
		{"{name}", "{instance}"}, // once only
		{"{{instance}", "{instance}"},
		{"{{{instance}", "{wan0"},
		{"${instance} {print $1} {} {", "${instance} {print $1} {} {"},
		{"awk '{{print}'", "awk '{print}'"},
		{"{ATTR{x", "{ATTR{x"},
	} {
		got, err := ReplaceWords([]string{c[0]}, word)
		if err != nil || got[0] != c[1] {
			t.Errorf("%q: %q, %v; want %q", c[0], got, err, c[1])
		}
	}
	if _, err := ReplaceWords([]string{"ok", "{gone}"}, word); err == nil || err.Error() != `"{gone}": there is no word "gone" here; for the brace itself write {{` {
		t.Error(err)
	}
}

func TestRelations(t *testing.T) {
	d, problems := Parse("a@", "a@.toml", []byte("exec_start=['a']\nneeds=['fw','b@{instance}']\nwants=['c@x-{instance}']\nafter=['d@e']"), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := slices.Concat(d.NeedsOf("i"), d.WantsOf("i"), d.AfterOf("i")); !slices.Equal(got, []string{"fw", "b@i", "c@x-i", "d@e"}) {
		t.Error(got)
	}
	if len(d.Refs) != 4 || d.Refs[1] != (Ref{"needs", "b@{instance}", d.Refs[1].Pos}) || d.Refs[1].Pos.String() != "a@.toml:2:13" {
		t.Error(d.Refs)
	}
}

func TestFstab(t *testing.T) {
	got := Fstab(`# <fs> <target> <type> <options>
UUID=1 / ext4 errors=remount-ro 0 1
/dev/sda2	/home\040dir	ext4	defaults	0	2
/dev/sda3 none swap sw 0 0
/dev/sda4 /data ext4 defaults,nofail 0 2
/dev/sr0 /media/cdrom udf user,noauto 0 0
tmpfs /tmp tmpfs
/dev/x /home\040dir ext4 rw

bad line
`)
	if !slices.Equal(got, []string{"/", "/home dir", "/tmp"}) {
		t.Errorf("%q", got)
	}
}

type words map[string][]string

func (w words) Values(word string) ([]string, bool) { return w[word], true }

func TestSystemDependencies(t *testing.T) {
	d, problems := Parse("a", "a.toml", []byte("exec_start=['a']\nsystem_dependencies=['MOUNTS','TIME']"), []string{"/home", "/mnt/*"})
	if len(problems) > 0 || len(d.Policy.Gates) != 3 {
		t.Fatal(problems, d.Policy.Gates)
	}
	for i, want := range []string{"MOUNTS: /home", "MOUNTS: /mnt/*", "TIME"} {
		if g := d.Policy.Gates[i]; g.Text != want || g.Once || g.Absent {
			t.Errorf("%+v", g)
		}
	}
	star := d.Policy.Gates[1].Match
	if star.Eval(words{"target": {"/mnt/usb"}}, nil) != match.No || star.Eval(words{"target": {"/mnt/*"}}, nil) != match.Yes {
		t.Error("the mount point is taken for a pattern")
	}
}

func TestMasked(t *testing.T) {
	for text, masked := range map[string]bool{"": true, "\n \n": true, "# nothing\n": false} {
		d, problems := Parse("a", "a.toml", []byte(text), nil)
		if d.Masked != masked || masked != (len(problems) == 0) {
			t.Errorf("%q: %v %v", text, d.Masked, problems)
		}
	}
}

func TestDefaults(t *testing.T) {
	parse := func(text string) *Definition {
		d, problems := Parse("a", "a.toml", []byte(text), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return d
	}
	daemon, oneshot := parse("exec_start=['a']"), parse("exec_start=['a']\ntype='oneshot'\nrestart='always'")
	if p := daemon.Policy; p.Restart != RestartAlways || p.StartTimeout.String() != "1m0s" || p.StopSignal != "TERM" || p.KillMode != KillAll ||
		p.BackoffFirst.String() != "500ms" || p.BackoffMax.String() != "30s" || p.ResetAfter.String() != "10s" || p.GiveUpFailures != 0 ||
		p.GiveUpWithin.String() != "1m0s" || p.PreTimeout.String() != "10s" || p.ShutdownTimeout.String() != "10s" || p.ReloadSignal != "" {
		t.Errorf("%+v", p)
	}
	if e := daemon.Exec; e.Type != Daemon || e.Ready != ReadyStarted || e.CheckEvery.String() != "1s" || e.Umask != -1 || e.Capabilities != nil || e.Log != "file" {
		t.Errorf("%+v", e)
	}
	if p := oneshot.Policy; p.Restart != RestartOnFailure || p.StartTimeout.String() != "5m0s" {
		t.Errorf("%+v", p)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add("type='oneshot'\nexec_start=[]\ngate=[{}]\nlimits={nofile='a'}\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, problems := Parse("a@", "a@.toml", []byte(text), []string{"/x"})
		d.ExecHash()
		d.Words()
		for _, p := range problems {
			if !p.Warning {
				return
			}
		}
		again, problems := Parse("a@", "a@.toml", []byte(d.String()), []string{"/x"})
		if again.String() != d.String() || again.ExecHash() != d.ExecHash() {
			t.Fatalf("%s\n%s\n%v", d.String(), again.String(), problems)
		}
	})
}
