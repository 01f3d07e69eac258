package toml

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Decoder takes the keys of one table out, and notes a problem for each that is
// of the wrong kind. A getter leaves its target alone where the key is missing
// or wrong. Done reports the keys that no getter asked for.
type Decoder struct {
	Table    *Table
	Problems *Problems
	Prefix   string // before the names of keys in messages: "backoff."

	what  string
	known []string
	lacks []lack // keys that must be there and are not
}

type lack struct{ name, example string }

// Decode begins with a table; what names it in messages: "a rule".
func Decode(t *Table, what string, p *Problems) *Decoder {
	return &Decoder{Table: t, Problems: p, what: what}
}

// Key returns a key, or nil, and counts it as known.
func (d *Decoder) Key(name string) *Key {
	d.known = append(d.known, name)
	return d.Table.Get(name)
}

// Missing notes that a key must be there. Done says so, unless the table could
// not be read whole, or has a key that looks like a slip for this one.
func (d *Decoder) Missing(name, example string) {
	d.lacks = append(d.lacks, lack{name, example})
}

// Text reads a text.
func (d *Decoder) Text(name string, to *string) {
	if k := d.Key(name); k != nil && d.IsText(d.Prefix+k.Name, k.Value) {
		*to = k.Value.Text
	}
}

// IsText tells whether the value is a text, and notes a problem if not.
func (d *Decoder) IsText(name string, v *Value) bool {
	switch v.Kind {
	case Text:
		return true
	case List, Nested:
		d.Problems.Errorf(v.Pos, "%s is text, not %s", name, v.Kind)
	default:
		d.Problems.Errorf(v.Pos, "%s is text: write %q", name, v.Text)
	}
	return false
}

// OneOf reads a text that is one of the choices.
func (d *Decoder) OneOf(name string, to *string, choices ...string) {
	k := d.Key(name)
	if k == nil {
		return
	}
	if k.Value.Kind != Text {
		d.Problems.Errorf(k.Value.Pos, "%s is %s, not %s", d.Prefix+name, Or(choices), cmp.Or(k.Value.Text, k.Value.Kind.String()))
		return
	}
	if !slices.Contains(choices, k.Value.Text) {
		d.Problems.Errorf(k.Value.Pos, "%s is %s, not %q%s", d.Prefix+name, Or(choices), k.Value.Text, DidYouMean(k.Value.Text, choices))
		return
	}
	*to = k.Value.Text
}

// Bool reads true or false.
func (d *Decoder) Bool(name string, to *bool) {
	k := d.Key(name)
	switch {
	case k == nil:
	case k.Value.Kind == Bool:
		*to = k.Value.Bool
	default:
		d.Problems.Errorf(k.Value.Pos, "%s", NotBool(d.Prefix+name, k.Value))
	}
}

// NotBool says what is wrong with a value that should be true or false.
func NotBool(name string, v *Value) string {
	if v.Kind == Text && isYesNo(v.Text) {
		return name + ": " + Quote(v.Text) + " is text: write true or false, without quotes"
	}
	return name + " is true or false, not " + v.Kind.String()
}

// Int reads a whole number within bounds.
func (d *Decoder) Int(name string, to *int, low, high int) {
	k := d.Key(name)
	switch {
	case k == nil:
	case k.Value.Kind == Text:
		d.Problems.Errorf(k.Value.Pos, "%s is a number: write it without quotes", d.Prefix+name)
	case k.Value.Kind != Number:
		d.Problems.Errorf(k.Value.Pos, "%s is a whole number, not %s", d.Prefix+name, k.Value.Kind)
	case k.Value.Number < int64(low) || k.Value.Number > int64(high):
		d.Problems.Errorf(k.Value.Pos, "%s is from %d to %d, not %d", d.Prefix+name, low, high, k.Value.Number)
	default:
		*to = int(k.Value.Number)
	}
}

// Time reads a duration: a text with units, not negative.
func (d *Decoder) Time(name string, to *time.Duration) {
	k := d.Key(name)
	if k == nil {
		return
	}
	switch v := k.Value; v.Kind {
	case Text:
		t, err := time.ParseDuration(v.Text)
		switch {
		case err != nil && isDigits(v.Text):
			d.Problems.Errorf(v.Pos, "%s is a time with unit: write %q", d.Prefix+name, v.Text+"s")
		case err != nil:
			d.Problems.Errorf(v.Pos, `%s: %q is no time: write "500ms", "5s", "1m30s" or "2h"`, d.Prefix+name, v.Text)
		case t < 0:
			d.Problems.Errorf(v.Pos, "%s cannot be negative", d.Prefix+name)
		default:
			*to = t
		}
	case Number, Decimal:
		d.Problems.Errorf(v.Pos, "%s is a time with unit: write %q", d.Prefix+name, v.Text+"s")
	default:
		d.Problems.Errorf(v.Pos, `%s is a time with unit, such as "5s", not %s`, d.Prefix+name, v.Kind)
	}
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Texts reads a list of texts.
func (d *Decoder) Texts(name string, to *[]string) {
	k := d.Key(name)
	if k == nil {
		return
	}
	if k.Value.Kind == Text {
		d.Problems.Errorf(k.Value.Pos, "%s is a list: write [%s]", name, Quote(k.Value.Text))
		return
	}
	if texts, ok := d.List(k); ok {
		*to = texts
	}
}

// List reads the texts of a key that is known to be a list.
func (d *Decoder) List(k *Key) ([]string, bool) {
	if k.Value.Kind != List {
		d.Problems.Errorf(k.Value.Pos, "%s is a list, not %s", k.Name, k.Value.Kind)
		return nil, false
	}
	texts, ok := make([]string, 0, len(k.Value.List)), true
	for _, v := range k.Value.List {
		ok = d.IsText("each of "+k.Name, v) && ok
		texts = append(texts, v.Text)
	}
	return texts, ok
}

// Sub reads a table; nil where there is none.
func (d *Decoder) Sub(name string) *Table {
	k := d.Key(name)
	if k == nil {
		return nil
	}
	if k.Value.Kind != Nested {
		d.Problems.Errorf(k.Value.Pos, "%s is a table: write %s = { … }, not %s", name, name, k.Value.Kind)
		return nil
	}
	return k.Value.Table
}

// Subs reads a list of tables. One table alone is a mistake worth a hint.
func (d *Decoder) Subs(name string) []*Table {
	k := d.Key(name)
	if k == nil {
		return nil
	}
	v := k.Value
	switch {
	case v.Kind == Nested && v.Header:
		d.Problems.Errorf(v.Pos, "there can be several: write [[%s]] instead of [%s]", name, name)
		return nil
	case v.Kind == Nested:
		d.Problems.Errorf(v.Pos, "%s is a list of tables: write %s = [{ … }]", name, name)
		return nil
	case v.Kind != List:
		d.Problems.Errorf(v.Pos, "%s is a list of tables: write %s = [{ … }], not %s", name, name, v.Kind)
		return nil
	}
	var tables []*Table
	for _, e := range v.List {
		if e.Kind != Nested {
			d.Problems.Errorf(e.Pos, "each of %s is a table: write { … }, not %s", name, e.Kind)
			continue
		}
		tables = append(tables, e.Table)
	}
	return tables
}

// Done reports every key that nobody asked for, and those that are missing.
func (d *Decoder) Done() {
	var meant []string
	for _, k := range d.Table.Keys {
		if !slices.Contains(d.known, k.Name) {
			d.Problems.Errorf(k.Pos, "%s has no key %q%s", d.what, k.Name, DidYouMean(k.Name, d.known))
			meant = append(meant, Nearest(k.Name, d.known))
		}
	}
	for _, l := range d.lacks {
		if !d.Table.Broken && !slices.Contains(meant, l.name) {
			d.Problems.Errorf(d.Table.Pos, "%s needs %s: write %s = %s", d.what, l.name, l.name, l.example)
		}
	}
}

// Or lists choices for people: "a", "b" or "c".
func Or(choices []string) string {
	var b strings.Builder
	for i, c := range choices {
		switch {
		case i > 0 && i == len(choices)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(Quote(c))
	}
	return b.String()
}
