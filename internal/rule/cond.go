package rule

import (
	"fmt"
	"regexp"
	"strings"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// Condition reads a condition on objects of a kind, and notes words that there
// are not and values that they never have. subject is the kind whose words
// {word} in a pattern means; empty where there is no other object.
func Condition(kind object.Kind, subject object.Kind, t *toml.Table, p *toml.Problems) match.Cond {
	cond := match.FromTable(t, p)
	c := checker{kind, subject, p}
	c.table(t)
	return cond
}

// Subjects that are no objects.
const (
	// Template is the subject of a template's gates; its one word is instance.
	Template object.Kind = "template"
	// unsure is the subject of a rule that does not say its kind.
	unsure object.Kind = "unsure"
)

type checker struct {
	kind, subject object.Kind
	problems      *toml.Problems
}

func (c checker) table(t *toml.Table) {
	for _, k := range t.Keys {
		switch k.Name {
		case "all", "any", "not":
			for _, v := range append(k.Value.List, k.Value) {
				if v.Kind == toml.Nested {
					c.table(v.Table)
				}
			}
		default:
			c.key(k)
		}
	}
}

func (c checker) key(k toml.Key) {
	w, wrong := lookup(c.kind, k.Name)
	if wrong != "" {
		c.problems.Errorf(k.Pos, "%s", wrong)
		return
	}
	if odd := unlikely(k.Name); odd != "" {
		c.problems.Warnf(k.Pos, "%s", odd)
	}
	values := []*toml.Value{k.Value}
	if k.Value.Kind == toml.List {
		values = k.Value.List
	}
	for _, v := range values {
		if wrong := w.takes(v); wrong != "" {
			c.problems.Errorf(v.Pos, "%s", wrong)
		} else if v.Kind == toml.Text {
			c.refs(k.Name, v)
			c.warn(w, v)
		}
	}
}

// takes says why a word cannot have such a value, or "". Kinds of values that
// no word has are the match package's to report.
func (w word) takes(v *toml.Value) string {
	switch {
	case w.is == isFlag && (v.Kind == toml.Text || v.Kind == toml.Number):
		return toml.NotBool(w.name, v)
	case w.is == isText && v.Kind == toml.Bool && deviceWord.MatchString(w.name[:1]):
		return fmt.Sprintf(`%s is text: write "*" where it must be there, not = { %s = "*" } where not, or %q`, w.name, toml.QuoteKey(w.name), v.Text)
	case w.is == isText && v.Kind == toml.Bool:
		return fmt.Sprintf(`%s is text: write a pattern such as "*", not %s`, w.name, v.Text)
	case w.is == isNumber && v.Kind == toml.Bool:
		return fmt.Sprintf("%s is a number, not %s", w.name, v.Text)
	case (w.is == isText && !deviceWord.MatchString(w.name[:1]) || w.is == isMaybe) && v.Kind == toml.Number:
		return fmt.Sprintf("%s is text: write %q", w.name, v.Text)
	}
	return ""
}

// refs checks the {word} in a pattern.
func (c checker) refs(name string, v *toml.Value) {
	if strings.HasPrefix(strings.TrimPrefix(v.Text, "!"), "~") {
		return // not a reference; the match package says what is wrong
	}
	for _, ref := range match.Refs(v.Text) {
		switch c.subject {
		case "":
			c.problems.Errorf(v.Pos, "%s: {%s}: only while, unless and the gates of a template know words of another object (for the brace itself write {{)", name, ref)
		case unsure:
		case Template:
			if ref != "instance" {
				c.problems.Errorf(v.Pos, "%s: a gate knows no word but {instance}, not {%s}", name, ref)
			}
		default:
			if _, wrong := lookup(c.subject, ref); wrong != "" {
				c.problems.Errorf(v.Pos, "%s: %s", name, braced(wrong))
			}
		}
	}
}

// braced writes the suggestion of a message as {word}.
func braced(wrong string) string {
	if before, guess, ok := strings.Cut(wrong, "; did you mean "); ok {
		return before + "; did you mean {" + strings.TrimSuffix(guess, "?") + "}?"
	}
	return wrong
}

var usbID = regexp.MustCompile(`^(ID_VENDOR_ID|ID_MODEL_ID|ATTRS?\{(idVendor|idProduct|bcdDevice)\})$`)

var (
	comparison  = regexp.MustCompile(`^!?[<>=]`)
	bareAddress = regexp.MustCompile(`^!?([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:]*)$`)
)

// warn speaks of patterns that are legal and mostly not meant.
func (c checker) warn(w word, v *toml.Value) {
	name := w.name
	switch {
	case w.is == isNumber && comparison.MatchString(v.Text):
		c.problems.Warnf(v.Pos, "%s: %s: numbers are equal or not, there is no < or >: write a number, or \"!1500\" for any other", name, toml.Quote(v.Text))
	case (name == "mac" || name == "permaddr") && strings.ContainsAny(v.Text, "ABCDEF") && !strings.ContainsAny(v.Text, "~["):
		c.problems.Warnf(v.Pos, "%s: the kernel writes it in lower case: %s", name, toml.Quote(strings.ToLower(v.Text)))
	case (name == "address4" || name == "address6") && bareAddress.MatchString(v.Text):
		c.problems.Warnf(v.Pos, "%s: an address has its prefix length: write %s", name, toml.Quote(v.Text+"/*"))
	case strings.Contains(v.Text, "|") && !strings.Contains(v.Text, "~"):
		c.problems.Warnf(v.Pos, "%s: | means itself: for several patterns write a list, %s", name, toml.QuoteAll(strings.Split(v.Text, "|")))
	case name == "operstate" && v.Text == "up":
		c.problems.Warnf(v.Pos, `operstate = "up": many drivers never leave "unknown"; write running = true`)
	case usbID.MatchString(name) && strings.ContainsAny(v.Text, "ABCDEF") && !strings.ContainsAny(v.Text, "~["):
		c.problems.Warnf(v.Pos, "%s: the kernel writes it in lower case: %s", name, toml.Quote(strings.ToLower(v.Text)))
	}
}

// ParseCondition reads a condition that somebody typed, on objects of a kind or,
// where kind is empty, of any. Words that there are not are an error: else the
// answer would be no objects, and no reason.
func ParseCondition(kind object.Kind, text string) (match.Cond, error) {
	c, err := match.Parse(text)
	if err != nil {
		return c, err
	}
	for _, name := range c.Words() {
		if kind == "" && IsWord(name) {
			continue
		}
		_, wrong := lookup(kind, name)
		if kind == "" {
			wrong = noWord(name)
		}
		if wrong != "" {
			return match.Cond{}, fmt.Errorf("match %s: %s", text, wrong)
		}
	}
	return c, nil
}
