package chpst

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// FuzzOptions: whatever words there are, options end in a program or in usage,
// and what follows the options is what followed them.
func FuzzOptions(f *testing.F) {
	for _, line := range []string{"-vP012 see", "-u nobody -n3 see a b", "-- -x", "- see", "-u", "-Z", "", "-l a -L b c", "-\xff", "-u\n--\nx"} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		p := newProcess(io.Discard)
		p.name = "chpst"
		rest, err := p.options(args, "vP", "un", func(o byte, v string) error {
			if strings.IndexByte("vPun", o) < 0 || strings.IndexByte("vP", o) >= 0 && v != "" {
				t.Errorf("took -%c %q", o, v)
			}
			return nil
		})
		switch {
		case err != nil:
			if e, ok := err.(*failure); !ok || e.status != statusUsage {
				t.Errorf("%q: %v", args, err)
			}
		case len(rest) == 0 || !slices.Equal(rest, args[len(args)-len(rest):]):
			t.Errorf("%q leaves %q", args, rest)
		}
	})
}

// FuzzLookup: whatever is asked for, it is nobody or somebody with a group, and
// never who is not named.
func FuzzLookup(f *testing.F) {
	for _, spec := range []string{"nobody", "nobody:daemon", ":1:2:3", ":", "::", ":1:", "root:", "4294967295", "-1", "", "+:+"} {
		f.Add(spec)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		f.Skip(err)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		i, err := lookup(spec)
		if err != nil {
			return
		}
		if len(i.gids) == 0 || i.uid < 0 || slices.Contains(i.gids, -1) {
			t.Errorf("%q: %+v", spec, i)
		}
		user, _, _ := strings.Cut(strings.TrimPrefix(spec, ":"), ":")
		if _, wrong := toID(user); wrong != nil && !strings.Contains("\n"+string(passwd), "\n"+user+":") {
			t.Errorf("%q: %+v", spec, i)
		}
	})
}
