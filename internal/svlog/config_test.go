package svlog

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestConfigurationIsRead: every kind of line, also past the 127th byte.
func TestConfigurationIsRead(t *testing.T) {
	var c config
	text := "# a comment\n\n#" + strings.Repeat(" long", 50) + "\ns4k\nn7\nN3\nt2h\n!gzip -c\nppre: \nu10.0.0.1\n-*\n+ *x\neerr\nEnot"
	if problems := c.parse("log/config", []byte(text)); problems != nil {
		t.Fatal(problems)
	}
	want := config{size: 4096, keep: 7, minKeep: 3, age: 2 * time.Hour, processor: "gzip -c", prefix: "pre: ",
		udp: netip.MustParseAddrPort("10.0.0.1:514"), rules: []rule{{'-', "*"}, {'+', " *x"}, {'e', "err"}, {'E', "not"}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// TestUnknownLinesAreNamed by file and line, and the rest counts.
func TestUnknownLinesAreNamed(t *testing.T) {
	bad := []string{"q", " s10", "s", "s-1", "s2x", "s99999999999999999999", "s9007199254740993m", "n1k", "tk", "t10000000000h",
		"u1.2.3", "u1.2.3.4:0", "u1.2.3.4:70000", "u1.2.3.4:", "U::1", "uhost"}
	c := config{size: 1, keep: 2, age: time.Second}
	problems := c.parse("log/config", []byte(strings.Join(bad, "\n")+"\nN5\n"))
	if len(problems) != len(bad) {
		t.Errorf("%d problems for %d lines: %q", len(problems), len(bad), problems)
	}
	for i, p := range problems {
		if prefix := fmt.Sprintf("log/config:%d: ", i+1); !strings.HasPrefix(p.Error(), prefix) {
			t.Errorf("%q is said as %q", bad[i], p)
		}
	}
	if want := (config{size: 1, keep: 2, age: time.Second, minKeep: 5}); !reflect.DeepEqual(c, want) {
		t.Errorf("%+v", c)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("s4k\nn7\nN3\nt2h\n!x\nppre\nu10.0.0.1:5\n-*\n+x\nee\nE\n#\n\n")
	f.Add("s\nsk\nu:\nU\x00")
	f.Fuzz(func(t *testing.T, text string) {
		var c config
		problems := c.parse("f", []byte(text))
		if c.size < 0 || c.keep < 0 || c.minKeep < 0 || c.age < 0 {
			t.Fatalf("%+v", c)
		}
		if lines := strings.Count(text, "\n") + 1; len(problems) > lines {
			t.Fatalf("%d problems in %d lines", len(problems), lines)
		}
		for _, p := range problems {
			if strings.Contains(p.Error(), "\n") {
				t.Fatalf("not one line: %q", p)
			}
		}
	})
}

// TestPatterns: the examples of svlogd(8), without the stamp, and its corners as Debian's has them.
func TestPatterns(t *testing.T) {
	const line = "tcpsvd: info: pid 1977 from 10.4.1.14"
	for _, c := range []struct {
		pattern, line string
		fits          bool
	}{
		{"*pid*", line, false}, {"*: *: pid *", line, true},
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"abc", "abc", true}, {"abc", "abcd", false}, {"abcd", "abc", false},
		{"*a", "bba", true}, {"*a", "bab", false}, {"a*", "a", true}, {"**", "a*", true},
		{"+a", "aaa", true}, {"+ab", "aab", true}, {"+ab", "b", false}, {"+ab", "aaa", true}, {"+a", "", false},
		{"x+", "x", false}, {"a+", "a+", true}, {"+*", "***", true},
	} {
		if got := match(c.pattern, []byte(c.line)); got != c.fits {
			t.Errorf("pattern %q, line %q: %v", c.pattern, c.line, got)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("*: *: pid *", "a: b: pid 1")
	f.Add("+ab+", "aab+")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		fits := match(pattern, []byte(line))
		if !strings.ContainsAny(pattern, "*+") && fits != (pattern == line) {
			t.Fatalf("%q has neither * nor +, and its fit to %q is %v", pattern, line, fits)
		}
		if pattern != "" && fits && !strings.ContainsAny(pattern[:1], "*+") && !strings.HasPrefix(line, pattern[:1]) {
			t.Fatalf("%q fits %q", pattern, line)
		}
	})
}
