package svlog

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

var moment = time.Date(2026, 1, 31, 23, 59, 8, 123456789, time.UTC)

// TestStampsAreAsDocumented and are read back, as exactly as they are written.
func TestStampsAreAsDocumented(t *testing.T) {
	for _, c := range []struct {
		form  Stamp
		text  string
		exact time.Duration
	}{
		{RFC3339, "2026-01-31T23:59:08.123456Z ", time.Microsecond},
		{TAI64N, "@40000000697e9756075bcd15 ", time.Nanosecond},
		{Human, "2026-01-31_23:59:08.12345 ", 10 * time.Microsecond},
		{ISO, "2026-01-31T23:59:08.12345 ", 10 * time.Microsecond},
		{None, "", 0},
	} {
		berlin := time.FixedZone("CET", 3600)
		got := c.form.Append(nil, moment.In(berlin))
		if string(got) != c.text {
			t.Errorf("form %d: %q, want %q", c.form, got, c.text)
		}
		if c.form == None {
			continue
		}
		back, rest, ok := ParseStamp(append(got, "a text"...))
		if !ok || !back.Equal(moment.Truncate(c.exact)) || string(rest) != "a text" {
			t.Errorf("form %d read back: %v %v %q", c.form, ok, back.UTC(), rest)
		}
	}
}

// TestTai64nOfOthers: labels as tai64n and tai64nlocal of daemontools have them.
func TestTai64nOfOthers(t *testing.T) {
	got, _, ok := ParseStamp([]byte("@4000000037c219bf2ef02e94 mail"))
	want := time.Date(1999, 8, 24, 4, 4, 5, 787492500, time.UTC) // tai64nlocal's manual, without its leap seconds
	if !ok || got.Sub(want).Abs() > time.Minute {
		t.Errorf("%v %v", ok, got.UTC())
	}
}

func TestWhatIsNoStamp(t *testing.T) {
	for _, line := range []string{
		"", "@", "text", "@40000000697e9756075bcd15x", "@40000000697e9756ffffffff ", "@c0000000697e9756075bcd15 ",
		"2026-02-30T23:59:08.123456Z x", "2026-01-31T23:59:08Z x", "2026-01-31T23:59:08. x", "2026-01-31 23:59:08.1 x", "2026-01-31T23:59:08.1Zx",
	} {
		if _, rest, ok := ParseStamp([]byte(line)); ok || string(rest) != line {
			t.Errorf("%q has a stamp, and then %q", line, rest)
		}
	}
}

// TestNamesGrow: after gives a label that sorts after the one given.
func TestNamesGrow(t *testing.T) {
	names := []string{string(label(nil, moment.Truncate(time.Second).Add(-2)))}
	for range 5 {
		names = append(names, after(names[len(names)-1]))
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%q", names)
	}
}

func FuzzParseStamp(f *testing.F) {
	for _, form := range []Stamp{RFC3339, TAI64N, Human, ISO, None} {
		f.Add(string(form.Append(nil, moment)) + "text")
	}
	f.Add("@7fffffffffffffff00000000 x")
	f.Add("0000-00-00T00:00:00.0")
	f.Fuzz(func(t *testing.T, line string) {
		at, rest, ok := ParseStamp([]byte(line))
		if !bytes.HasSuffix([]byte(line), rest) {
			t.Fatalf("rest %q", rest)
		}
		if ok && at.Year() >= 0 && at.Year() <= 9999 {
			again, _, ok := ParseStamp(RFC3339.Append(nil, at))
			if !ok || !again.Equal(at.Truncate(time.Microsecond)) {
				t.Fatalf("%v is written so that it is read as %v", at, again)
			}
		}
	})
}
