package match

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var wordNames = []string{"a", "b", "master", "DEVNAME"}

func randomCond(rnd *rand.Rand, depth int) string {
	value := func() string {
		return []string{
			`"x"`, `"y"`, `"x*"`, `"!x"`, `"!*y"`, `"*"`, "true", "false", "7", `["x", "y"]`, `["x*", "!xy"]`, `[false, "!x"]`,
			`'~x|y'`, `'!~x.*'`, `"{s}"`, `"!{s}"`,
		}[rnd.IntN(16)]
	}
	var parts []string
	for _, w := range wordNames {
		if rnd.IntN(3) == 0 {
			parts = append(parts, w+" = "+value())
		}
	}
	if depth > 0 {
		switch rnd.IntN(4) {
		case 0:
			parts = append(parts, "not = "+randomCond(rnd, depth-1))
		case 1:
			parts = append(parts, fmt.Sprintf("any = [%s, %s]", randomCond(rnd, depth-1), randomCond(rnd, depth-1)))
		case 2:
			parts = append(parts, fmt.Sprintf("all = [%s, %s]", randomCond(rnd, depth-1), randomCond(rnd, depth-1)))
		}
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func randomValues(rnd *rand.Rand) []string {
	return [][]string{{}, {"x"}, {"y"}, {"xy"}, {"x", "y"}, {"true"}, {"false"}, {"7"}, {"/dev/x"}}[rnd.IntN(9)]
}

// TestUnknownIsSound: an answer that does not wait for the unknown words is the
// answer whatever they turn out to be.
func TestUnknownIsSound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	answers := map[Answer]int{}
	for range 20_000 {
		text := randomCond(rnd, 2)
		c := Must(text)
		object, subject := words{}, words{}
		for _, w := range wordNames {
			if rnd.IntN(3) == 0 {
				object[w] = nil
			} else {
				object[w] = randomValues(rnd)
			}
		}
		if subject["s"] = randomValues(rnd); rnd.IntN(3) == 0 {
			subject["s"] = nil
		}
		first := c.Eval(object, subject)
		answers[first]++
		fill := func(from words) words {
			full := words{}
			for w, v := range from {
				if full[w] = v; v == nil {
					full[w] = randomValues(rnd)
				}
			}
			return full
		}
		for range 5 {
			o, s := fill(object), fill(subject)
			full := c.Eval(o, s)
			if full == Unknown {
				t.Fatalf("%s of %v with %v: unknown, and all is known", text, o, s)
			}
			if first != Unknown && full != first {
				t.Fatalf("%s: %s of %v, and %s of %v (subject %v, %v)", text, first, object, full, o, subject, s)
			}
		}
	}
	for a := No; a <= Yes; a++ {
		if answers[a] < 500 {
			t.Errorf("only %d answers are %s: the test sees too little", answers[a], a)
		}
	}
}

// TestGlobAgainstRecursion compares with the plainest matcher there is.
func TestGlobAgainstRecursion(t *testing.T) {
	var plain func(p, s string) bool
	plain = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return plain(p[1:], s) || s != "" && plain(p, s[1:])
		case s == "":
			return false
		}
		return (p[0] == '?' || p[0] == s[0]) && plain(p[1:], s[1:])
	}
	random := func(rnd *rand.Rand, letters string) string {
		b := make([]byte, rnd.IntN(8))
		for i := range b {
			b[i] = letters[rnd.IntN(len(letters))]
		}
		return string(b)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	matched := 0
	for range 50_000 {
		p, s := random(rnd, "ab/*?"), random(rnd, "ab/")
		want := plain(p, s)
		if got := glob(p, s); got != want {
			t.Fatalf("%q, %q: %v", p, s, got)
		}
		if want {
			matched++
		}
		if lit, ok := literal(p); ok && (lit != p || want != (p == s)) {
			t.Fatalf("%q is no literal", p)
		}
	}
	if matched < 500 {
		t.Error("too few match:", matched)
	}
}
