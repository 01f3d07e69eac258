package match

import (
	"slices"
	"strings"
)

// Answer is what a condition says of an object.
type Answer uint8

const (
	No      Answer = iota
	Unknown        // a source has not told yet what the condition asks for
	Yes
)

// String is "no", "unknown" or "yes".
func (a Answer) String() string { return [...]string{"no", "unknown", "yes"}[a] }

// Reader gives the words of one object. ok is false for a word that is unknown;
// no values with ok true means absent.
type Reader interface {
	Values(word string) (values []string, ok bool)
}

// Cond is a condition: a table of words and patterns, all of which must hold,
// with all, any and not nested in it. Its zero value is `{}`, which every
// object meets. Equal conditions print the same.
type Cond struct {
	terms []term // by word; all, any and not behind them
}

// term is one key of the table: a word with patterns, or a junction.
type term struct {
	word     string
	patterns []pattern // the first positive ones
	positive int       // how many are positive

	join  string // "all", "any", "not"
	conds []Cond // of a junction
}

// Empty tells whether the condition is {}.
func (c *Cond) Empty() bool { return len(c.terms) == 0 }

// Eval answers for one object. Patterns may hold {word}: the word of the
// subject, which may be nil where there is none.
func (c *Cond) Eval(object, subject Reader) Answer {
	answer := Yes
	for i := range c.terms {
		// No is the least and Yes the greatest: "and" is the least of all.
		if answer = min(answer, c.terms[i].eval(object, subject)); answer == No {
			return No
		}
	}
	return answer
}

func (t *term) eval(object, subject Reader) Answer {
	switch t.join {
	case "all":
		answer := Yes
		for i := range t.conds {
			answer = min(answer, t.conds[i].Eval(object, subject))
		}
		return answer
	case "any":
		answer := No
		for i := range t.conds {
			answer = max(answer, t.conds[i].Eval(object, subject))
		}
		return answer
	case "not":
		return Yes - t.conds[0].Eval(object, subject)
	}
	values, known := object.Values(t.word)
	if !known {
		return Unknown
	}
	if len(values) == 0 {
		return t.evalAbsent()
	}
	answer := Yes
	if t.positive > 0 {
		answer = No
		for i := range t.patterns[:t.positive] {
			answer = max(answer, t.patterns[i].eval(t.word, values, subject))
		}
	}
	for i := t.positive; i < len(t.patterns) && answer > No; i++ {
		answer = min(answer, Yes-t.patterns[i].eval(t.word, values, subject))
	}
	return answer
}

// evalAbsent: no pattern, positive or negative, matches what is not there, only
// false does, on a word whose absence means no.
func (t *term) evalAbsent() Answer {
	if AbsentIsFalse(t.word) {
		for i := range t.patterns[:t.positive] {
			if t.patterns[i].kind == kindBool && t.patterns[i].text == "false" {
				return Yes
			}
		}
	}
	return No
}

// AbsentIsFalse tells whether `false` matches where the word is absent, and
// `true` where it is present.
func AbsentIsFalse(word string) bool {
	switch word {
	case "master", "address4", "address6", "linklocal4", "default4", "default6", "foreign":
		return true
	}
	return false
}

// Words lists the words that the condition reads, sorted, each once.
func (c *Cond) Words() []string { return sorted(c.words(nil)) }

func (c *Cond) words(to []string) []string {
	for _, t := range c.terms {
		if t.join == "" {
			to = append(to, t.word)
		}
		for i := range t.conds {
			to = t.conds[i].words(to)
		}
	}
	return to
}

// Refs lists the words of the subject that patterns refer to as {word}, sorted,
// each once.
func (c *Cond) Refs() []string { return sorted(c.refs(nil)) }

func (c *Cond) refs(to []string) []string {
	for _, t := range c.terms {
		for _, p := range t.patterns {
			to = append(to, p.refs...)
		}
		for i := range t.conds {
			to = t.conds[i].refs(to)
		}
	}
	return to
}

func sorted(words []string) []string {
	slices.Sort(words)
	return slices.Compact(words)
}

// Without returns the condition less every key that reads one of the words that
// drop names, junctions whole.
func (c *Cond) Without(drop func(word string) bool) Cond {
	var out Cond
	for _, t := range c.terms {
		one := Cond{terms: []term{t}}
		if !slices.ContainsFunc(one.words(nil), drop) {
			out.terms = append(out.terms, t)
		}
	}
	return out
}

// Literals returns the texts of which the word must have one for the condition
// to hold, in Normal form; none if the condition does not say.
func (c *Cond) Literals(word string) []string {
	for _, t := range c.terms {
		if t.word != word || t.positive == 0 {
			continue
		}
		var texts []string
		for _, p := range t.patterns[:t.positive] {
			if p.kind != kindLiteral && (p.kind != kindBool || AbsentIsFalse(word)) {
				return nil
			}
			texts = append(texts, p.text)
		}
		return texts
	}
	return nil
}

// Normal is the form in which a word's values are compared: DEVNAME is written
// with and without /dev/, and means the same.
func Normal(word, value string) string {
	if word == "DEVNAME" {
		return strings.TrimPrefix(value, "/dev/")
	}
	return value
}
