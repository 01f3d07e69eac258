package match

import (
	"regexp"
	"strconv"
	"strings"
)

type patternKind uint8

const (
	kindLiteral patternKind = iota
	kindGlob
	kindRegex
	kindBool
	kindNumber
	kindRef // a glob with {word} in it
)

// pattern is one pattern. Whether it is negative is a matter of its place in
// the term.
type pattern struct {
	written string // as in the file; of texts, unquoted
	kind    patternKind
	text    string // literal, glob, "true", "false", without ! and ~
	number  int64
	regex   *regexp.Regexp
	refs    []string
}

// isText tells whether the pattern stands in quotes.
func (p *pattern) isText() bool { return p.kind != kindBool && p.kind != kindNumber }

// textPattern reads "glob", "!glob", "~regex" and "!~regex".
func textPattern(word, written string) (p pattern, negative bool, wrong string) {
	p = pattern{written: written}
	text, negative := strings.CutPrefix(written, "!")
	if expr, ok := strings.CutPrefix(text, "~"); ok {
		p.kind, p.text = kindRegex, expr
		if _, err := regexp.Compile(expr); err != nil {
			return p, negative, "is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		}
		if r := Refs(expr); len(r) > 0 {
			return p, negative, "a ~regex cannot hold {" + r[0] + "}: use a glob"
		}
		p.regex = regexp.MustCompile(`^(?:` + expr + `)$`)
		return p, negative, ""
	}
	p.text, p.refs = text, Refs(text)
	if wrong := checkGlob(text); wrong != "" {
		return p, negative, wrong
	}
	if len(p.refs) > 0 {
		p.kind = kindRef
		return p, negative, ""
	}
	p.text, _, _, _ = CutRef(text)
	p.text = Normal(word, p.text)
	p.kind = kindGlob
	if lit, ok := literal(p.text); ok {
		p.kind, p.text = kindLiteral, lit
	}
	return p, negative, ""
}

// eval tells whether any of the values matches.
func (p *pattern) eval(word string, values []string, subject Reader) Answer {
	if p.kind == kindRef {
		return p.evalRef(word, values, subject)
	}
	for _, v := range values {
		if p.matches(word, v) {
			return Yes
		}
	}
	return No
}

func (p *pattern) matches(word, value string) bool {
	switch p.kind {
	case kindLiteral:
		return p.text == Normal(word, value)
	case kindGlob:
		return glob(p.text, Normal(word, value))
	case kindBool:
		if AbsentIsFalse(word) {
			return (p.text == "true") == (value != "false")
		}
		return p.text == value
	case kindNumber:
		n, err := parseNumber(value)
		return err == nil && n == p.number
	}
	if p.regex.MatchString(value) {
		return true
	}
	short := Normal(word, value)
	return word == "DEVNAME" && (p.regex.MatchString(short) || p.regex.MatchString("/dev/"+short))
}

// parseNumber reads a fact as a number: sysfs prints decimal, or hex with 0x.
func parseNumber(s string) (int64, error) {
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		return strconv.ParseInt(hex, 16, 64)
	}
	return strconv.ParseInt(s, 10, 64)
}

// evalRef matches with the subject's words in the places of {word}: any
// combination of their values. A word that the subject has not makes a pattern
// that nothing matches.
func (p *pattern) evalRef(word string, values []string, subject Reader) Answer {
	filled := []string{""}
	rest := p.text
	for {
		before, ref, after, ok := CutRef(rest)
		if !ok {
			before = rest
		}
		var given []string
		if ok && subject != nil {
			known := true
			if given, known = subject.Values(ref); !known {
				return Unknown
			}
		}
		var next []string
		for _, f := range filled {
			if !ok {
				next = append(next, f+before)
			}
			for _, g := range given {
				next = append(next, f+before+escapeGlob(g))
			}
		}
		if filled = next; !ok {
			break
		}
		rest = after
	}
	for _, f := range filled {
		f = Normal(word, f)
		for _, v := range values {
			if glob(f, Normal(word, v)) {
				return Yes
			}
		}
	}
	return No
}
