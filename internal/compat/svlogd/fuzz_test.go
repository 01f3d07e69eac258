package svlogd

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// FuzzOptions: a command line is one that can run, or usage; what is replaced in
// a line is never its end.
func FuzzOptions(f *testing.F) {
	for _, line := range []string{"-tt main", "-ttv -r _ -R abc -l 200 -b 300 a b", "-- -x", "-l", "-l0 -b99999999999 x", "-r ab x", "-l 2000 x", "", "-"} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		o, err := parse(slices.Clone(args), io.Discard)
		if err != nil {
			if err != errUsage || o != nil {
				t.Errorf("%q: %v", args, err)
			}
			return
		}
		if o.LineLen <= 0 || len(o.dirs) == 0 || !slices.Equal(o.dirs, args[len(args)-len(o.dirs):]) {
			t.Errorf("%q: %+v", args, o)
		}
	})
}
