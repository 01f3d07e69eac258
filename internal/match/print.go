package match

import (
	"strings"

	"hotsvc/internal/toml"
)

// String prints the condition as a TOML inline table that Parse reads back.
func (c *Cond) String() string {
	if c.Empty() {
		return "{}"
	}
	parts := make([]string, len(c.terms))
	for i := range c.terms {
		parts[i] = c.terms[i].String()
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// String prints the term as key = value.
func (t *term) String() string {
	var values []string
	for i := range t.patterns {
		p := &t.patterns[i]
		if p.isText() {
			values = append(values, toml.Quote(p.written))
		} else {
			values = append(values, p.written)
		}
	}
	for i := range t.conds {
		values = append(values, t.conds[i].String())
	}
	value := strings.Join(values, ", ")
	if len(values) > 1 || t.join == "all" || t.join == "any" {
		value = "[" + value + "]"
	}
	return toml.QuoteKey(t.join+t.word) + " = " + value
}

// MarshalText makes a condition a text in JSON.
func (c Cond) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Cond) UnmarshalText(text []byte) (err error) {
	*c, err = Parse(string(text))
	return err
}

// Unmet prints the terms that do not answer yes for an object, each with what
// the object has instead.
func (c *Cond) Unmet(object, subject Reader) []string {
	var out []string
	for i := range c.terms {
		t := &c.terms[i]
		if t.eval(object, subject) == Yes {
			continue
		}
		text := t.String()
		if t.join == "" {
			values, known := object.Values(t.word)
			switch {
			case !known:
				text += " (not known yet)"
			case len(values) == 0:
				text += " (it has none)"
			default:
				text += " (it is " + strings.Join(values, " ") + ")"
			}
		}
		out = append(out, text)
	}
	return out
}
