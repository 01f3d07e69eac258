package rule

import (
	"strings"
	"testing"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
)

// FuzzCondition: what somebody types after `hsctl objects --match` is refused in
// one line, or has only words that there are, and means the same when printed.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{
		`{ name = "wan*", running = true }`, `name = ["!a", "~^b"]`, `{ "ATTR{x}" = 1, ATTRS{y} = "z" }`, `{ not = { any = [] } }`, `{ SUBSYSTEM = "net" }`, `x = `, "a = 1\nb = 2",
	} {
		f.Add(byte(1), text)
		f.Add(byte(4), text)
	}
	kinds := append(object.Kinds, "")
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		c, err := ParseCondition(kinds[int(kind)%len(kinds)], text)
		if err != nil {
			if strings.Contains(strings.TrimSuffix(err.Error(), text), "\n") && !strings.Contains(text, "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		again, err := match.Parse(c.String())
		if err != nil || again.String() != c.String() {
			t.Errorf("%q prints as %s: %v", text, c.String(), err)
		}
		for _, word := range c.Words() {
			if !IsWord(word) {
				t.Errorf("%q has the word %q", text, word)
			}
		}
	})
}

// FuzzExpand: whatever the kernel calls a thing, the name of the instance made of
// it is one that can be a file and an argument, or there is none.
func FuzzExpand(f *testing.F) {
	f.Add("dhcp@{name}", "wan0")
	f.Add("x@{name}-{name}y", "../../etc")
	f.Add("x@{name}", "-rf")
	f.Add("x@{{name}}", "a b\x1b[31m")
	f.Fuzz(func(t *testing.T, template, value string) {
		base, rest, _ := strings.Cut(template, "@")
		name, err := Expand(template, reader{"name": {value}})
		if err != nil || !strings.Contains(rest, "{") {
			return
		}
		made, ok := strings.CutPrefix(name, base+"@")
		if !ok || made == "" || len(made) > 64 || made[0] == '-' || made[0] == '.' || strings.ContainsAny(made, "/\x00\n {}%\\") {
			t.Errorf("%q with %q is %q", template, value, name)
		}
	})
}
