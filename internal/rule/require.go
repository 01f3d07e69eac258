package rule

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

var (
	serviceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+-]*$`)
	instance    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+=@-]{0,63}$`)
	foreignWord = regexp.MustCompile(`%[A-Za-z]|\$\{?[A-Za-z_][A-Za-z0-9_]*\}?`)
)

func requires(d *toml.Decoder, r *Rule) {
	d.Texts("require", &r.Require)
	k := d.Table.Get("require")
	switch {
	case k == nil && r.Claim:
		return // claims the object and leaves it alone
	case k == nil:
		d.Missing("require", `["dhcp@{name}"]`)
		return
	case k.Value.Kind != toml.List:
		return
	case len(k.Value.List) == 0 && !r.Claim && !d.Table.Broken:
		d.Problems.Errorf(k.Value.Pos, "require = [] asks for nothing: name a service, or write claim = true to leave the object alone")
	}
	for i, v := range k.Value.List {
		r.RequirePos = append(r.RequirePos, v.Pos)
		if v.Kind != toml.Text {
			continue // said before
		}
		if slices.Contains(r.Require[:min(i, len(r.Require))], v.Text) {
			d.Problems.Errorf(v.Pos, "require: %q stands there twice", v.Text)
		}
		if wrong := CheckRequire(v.Text, r.Object); wrong != "" {
			d.Problems.Errorf(v.Pos, "require: %s", wrong)
		}
	}
}

// CheckRequire says what is wrong with the name of a service that may hold
// {word} of an object of that kind, or "". With kind "" words are not looked up.
func CheckRequire(name string, kind object.Kind) string {
	base, inst, isInstance := strings.Cut(name, "@")
	usual := map[object.Kind]string{object.Link: "{name}", object.Device: "{KERNEL}"}[kind]
	if alien := foreignWord.FindString(name); alien != "" && usual != "" {
		guess := usual
		if w := strings.Trim(alien, "$%{}"); alien[0] == '$' {
			if _, wrong := lookup(kind, w); wrong == "" {
				guess = "{" + w + "}"
			}
		}
		return fmt.Sprintf("%q: %s means nothing here; did you mean %s?", name, alien, guess)
	}
	if _, word, _, ok := match.CutRef(base); ok {
		return fmt.Sprintf("%q: {%s} may stand only right of the @", name, word)
	}
	switch {
	case !serviceName.MatchString(base):
		return fmt.Sprintf("%q is no name of a service: write letters, digits and _ . : + - only", name)
	case isInstance && inst == "" && usual != "":
		return fmt.Sprintf("%q: which instance? Write %q", name, name+usual)
	case isInstance && inst == "":
		return fmt.Sprintf("%q: which instance?", name)
	case strings.ContainsFunc(inst, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Sprintf("%q: an instance name is printable text", name)
	}
	if kind == "" {
		return ""
	}
	for _, word := range match.Refs(inst) {
		if _, wrong := lookup(kind, word); wrong != "" {
			return fmt.Sprintf("%q: %s", name, braced(wrong))
		}
		if word == "target" || word == "DEVPATH" {
			return fmt.Sprintf("%q: %s has slashes, which no instance made of words may hold: write the name out", name, word)
		}
	}
	return ""
}

// ErrUnknown tells that a source has not told yet what a name is made of: look
// again later, and until then it is neither this name nor that.
var ErrUnknown = errors.New("not known yet")

// Expand puts an object's words in the places of {word} right of the @. The
// error says which word does not fit, and why.
func Expand(template string, r match.Reader) (string, error) {
	base, rest, _ := strings.Cut(template, "@")
	if !strings.Contains(rest, "{") {
		return template, nil
	}
	inst := ""
	for {
		before, word, after, ok := match.CutRef(rest)
		inst += before
		if !ok {
			break
		}
		rest = after
		values, known := r.Values(word)
		switch {
		case !known:
			return "", fmt.Errorf("%s: %s is %w", template, word, ErrUnknown)
		case len(values) == 0:
			return "", fmt.Errorf("%s: it has no %s", template, word)
		case len(values) > 1:
			return "", fmt.Errorf("%s: %s has %d values, a name needs one", template, word, len(values))
		}
		inst += match.Normal(word, values[0])
	}
	if !instance.MatchString(inst) {
		return "", fmt.Errorf("%s: %q is no instance name (letters, digits and _ . : + = @ -, at most 64)", template, inst)
	}
	return base + "@" + inst, nil
}
