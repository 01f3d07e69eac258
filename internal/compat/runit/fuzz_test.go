package runit

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzWords: whatever sv is told, only letters that runsv(8) knows are written to
// a control, and the words after the options are left as they are.
func FuzzWords(f *testing.F) {
	for _, line := range []string{"status a", "-v -w 9 restart a b", "-w", "-w9x t a", "-- up x", "force-stop x", "E x", "-vw99999999999 d a", "", "-\xff"} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		r := &run{out: io.Discard, err: io.Discard, name: "sv", wait: time.Second}
		rest, ok := r.options(slices.Clone(args))
		if ok && !slices.Equal(rest, args[len(args)-len(rest):]) || r.wait < 0 {
			t.Errorf("%q leaves %q, and waits %v", args, rest, r.wait)
		}
		for _, word := range args {
			for _, lsb := range []bool{false, true} {
				c, ok := parse(word, lsb)
				if !ok {
					continue
				}
				if strings.Trim(c.letters, "udopchaitkqx12") != "" || c.waits && c.goal == 0 || c.letters == "" && !c.show && c.goal != 'C' {
					t.Errorf("%q tells %+v", word, c)
				}
			}
		}
	})
}
