package match

import (
	"fmt"
	"slices"
	"strings"

	"hotsvc/internal/toml"
)

// maxDepth bounds nesting: nobody reads deeper, and it keeps Eval's stack small.
const maxDepth = 16

// FromTable reads a condition and notes what is wrong with it. Which words there
// are, and which values they take, is the caller's to check.
func FromTable(t *toml.Table, p *toml.Problems) Cond { return fromTable(t, p, 0) }

func fromTable(t *toml.Table, p *toml.Problems, depth int) Cond {
	var c Cond
	if depth > maxDepth {
		p.Errorf(t.Pos, "conditions are nested more than %d deep", maxDepth)
		return c
	}
	for _, k := range t.Keys {
		one := term{word: k.Name}
		switch k.Name {
		case "all", "any", "not":
			one = junction(k, p, depth)
		default:
			one.patterns, one.positive = patterns(k, p)
		}
		if one.join != "" || len(one.patterns) > 0 {
			c.terms = append(c.terms, one)
		}
	}
	slices.SortStableFunc(c.terms, func(a, b term) int {
		if (a.join == "") != (b.join == "") {
			return strings.Compare(a.join, b.join)
		}
		return strings.Compare(a.join+a.word, b.join+b.word)
	})
	return c
}

func junction(k toml.Key, p *toml.Problems, depth int) term {
	t := term{join: k.Name}
	switch v := k.Value; {
	case k.Name == "not" && v.Kind == toml.Nested:
		t.conds = []Cond{fromTable(v.Table, p, depth+1)}
	case k.Name == "not":
		p.Errorf(v.Pos, "not takes one condition: write not = { … }, or not = { any = [{ … }, { … }] }")
	case v.Kind == toml.Nested:
		p.Errorf(v.Pos, "%s takes a list of conditions: write %s = [{ … }, { … }]", k.Name, k.Name)
	case v.Kind != toml.List:
		p.Errorf(v.Pos, "%s takes a list of conditions, not %s: write %s = [{ … }, { … }]", k.Name, v.Kind, k.Name)
	case len(v.List) == 0:
		p.Errorf(v.Pos, "%s = [] says nothing: leave it out", k.Name)
	default:
		for _, e := range v.List {
			if e.Kind != toml.Nested {
				p.Errorf(e.Pos, "each of %s is a condition: write { … }, not %s", k.Name, e.Kind)
				continue
			}
			t.conds = append(t.conds, fromTable(e.Table, p, depth+1))
		}
	}
	if len(t.conds) == 0 {
		t.join = ""
	}
	return t
}

// patterns reads a value or a list of values; the positive ones come first.
func patterns(k toml.Key, p *toml.Problems) (all []pattern, positive int) {
	values := []*toml.Value{k.Value}
	if k.Value.Kind == toml.List {
		if values = k.Value.List; len(values) == 0 {
			p.Errorf(k.Value.Pos, "%s = [] matches nothing: leave it out, or write a pattern", k.Name)
		}
	}
	var negatives []pattern
	for _, v := range values {
		one, negative, wrong := newPattern(k.Name, v)
		switch {
		case wrong != "":
			p.Errorf(v.Pos, "%s", wrong)
		case negative:
			negatives = append(negatives, one)
		default:
			all = append(all, one)
		}
	}
	return append(all, negatives...), len(all)
}

func newPattern(word string, v *toml.Value) (p pattern, negative bool, wrong string) {
	switch v.Kind {
	case toml.Text:
		p, negative, wrong = textPattern(word, v.Text)
		if wrong != "" {
			wrong = fmt.Sprintf("%s: %s %s", word, toml.Quote(v.Text), wrong)
		}
		return p, negative, wrong
	case toml.Bool:
		return pattern{written: v.Text, kind: kindBool, text: v.Text}, false, ""
	case toml.Number:
		if strings.Trim(v.Text, "+-0123456789") != "" {
			return p, false, fmt.Sprintf(`%s: %s stands for %d here: write the text that the kernel shows, such as "0403", or the number in decimal`, word, v.Text, v.Number)
		}
		return pattern{written: fmt.Sprint(v.Number), kind: kindNumber, number: v.Number}, false, ""
	case toml.Decimal, toml.Date:
		return p, false, fmt.Sprintf("%s is text: write %q", word, v.Text)
	}
	return p, false, fmt.Sprintf("%s takes a pattern or a list of patterns, not %s", word, v.Kind)
}

// Parse reads a condition from one line of text, `{ name = "eth*" }`, with or
// without the braces.
func Parse(text string) (Cond, error) {
	body := strings.TrimSpace(text)
	if !strings.HasPrefix(body, "{") {
		body = "{ " + body + " }"
	}
	t, problems := toml.Parse("match", []byte("match = "+body))
	var all toml.Problems
	all.Add(problems...)
	var c Cond
	if d := toml.Decode(t, "a condition", &all); len(problems) == 0 {
		if sub := d.Sub("match"); sub != nil {
			c = FromTable(sub, &all)
		}
		d.Done()
	}
	if list := all.Sorted(); len(list) > 0 {
		return Cond{}, fmt.Errorf("match %s: %s", text, list[0].Text)
	}
	return c, nil
}

// Must is Parse for conditions that are part of the program.
func Must(text string) Cond {
	c, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return c
}

// Is is the condition that a word has just this value.
func Is(word, value string) Cond {
	escaped := escapeGlob(strings.ReplaceAll(value, "{", "{{"))
	if strings.HasPrefix(escaped, "!") || strings.HasPrefix(escaped, "~") {
		escaped = `\` + escaped
	}
	p, _, _ := textPattern(word, escaped)
	return Cond{terms: []term{{word: word, patterns: []pattern{p}, positive: 1}}}
}
