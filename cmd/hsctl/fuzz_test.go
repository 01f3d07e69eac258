package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzTimeout: a time that is taken is none that has passed, and means the same
// when it is written.
func FuzzTimeout(f *testing.F) {
	for _, s := range []string{"5s", "2m", "0", "forever", "-1s", "1h0.5ms", "5", "", "9223372036854775807ns", "1e3s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var first, again timeout
		if first.Set(s) != nil {
			return
		}
		if first.d < 0 && s != "forever" || again.Set(first.String()) != nil || again != first {
			t.Errorf("%q is %v, written %q, read as %v", s, first.d, first.String(), again.d)
		}
	})
}

// FuzzClean: what a network or a volume calls itself does nothing to a terminal,
// and what people can read stays as it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"home", "\x1b[2J", "a\u202eb", "\xff\x00", "無線", "\\x1b"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		got := clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is %q", s, got)
		}
		if utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable) && got != s {
			t.Errorf("%q is %q", s, got)
		}
		if width &= 0xff; width > 1 && utf8.RuneCountInString(cut(got, width)) > width {
			t.Errorf("%q cut to %d", got, width)
		}
	})
}
