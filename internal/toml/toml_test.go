package toml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gotoml "github.com/pelletier/go-toml/v2"
)

// show prints a tree with the places of keys and values.
func show(t *Table) string {
	var b strings.Builder
	for _, k := range t.Keys {
		fmt.Fprintf(&b, "%s@%d:%d=%s ", k.Name, k.Pos.Line, k.Pos.Col, showValue(k.Value))
	}
	return strings.TrimSpace(b.String())
}

func showValue(v *Value) string {
	at := fmt.Sprintf("@%d:%d", v.Pos.Line, v.Pos.Col)
	switch v.Kind {
	case List:
		var parts []string
		for _, e := range v.List {
			parts = append(parts, showValue(e))
		}
		return "[" + strings.Join(parts, " ") + "]" + at
	case Nested:
		return "{" + show(v.Table) + "}" + at
	}
	return fmt.Sprintf("%q", v.Text) + at
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want, problems string }{
		{"", "", ""},
		{"# only\n", "", ""},
		{"\xef\xbb\xbfa = 1", `a@1:1="1"@1:5`, ""},
		{"a = 'x'\r\nb = true # c\n", `a@1:1="x"@1:5 b@2:1="true"@2:5`, ""},
		{"a = [1, [2], {b = 3}]", `a@1:1=["1"@1:6 ["2"@1:10]@1:5 {b@1:15="3"@1:19}@1:14]@1:5`, ""},
		{"[[r]]\na = 1\n[[ r ]]\na = 2", `r@1:1=[{a@2:1="1"@2:5}@1:1 {a@4:1="2"@4:5}@3:1]@1:1`, ""},
		{"[[r]]\n[r.m]\nx = 1\n[[r]]\n[r.m]\nx = 2", `r@1:1=[{m@2:1={x@3:1="1"@3:5}@2:1}@1:1 {m@5:1={x@6:1="2"@6:5}@5:1}@4:1]@1:1`, ""},
		{"a.b.c = 1\na.d = 2", `a@1:1={b@1:3={c@1:5="1"@1:9}@1:3 d@2:3="2"@2:7}@1:1`, ""},
		{"[a]\nx = 1\n[a.b]\ny = 2", `a@1:1={x@2:1="1"@2:5 b@3:1={y@4:1="2"@4:5}@3:1}@1:1`, ""},
		{"[a.b]\nx = 1\n[a]\ny = 2", `a@1:2={b@1:1={x@2:1="1"@2:5}@1:1 y@4:1="2"@4:5}@1:2`, ""},

		{"a = 1\nb = 2\na = 3", `a@1:1="1"@1:5 b@2:1="2"@2:5`, `f:3:1: "a" is given twice, first at line 1`},
		{"a = {}\na.b = 1", `a@1:1={}@1:5`, `f:2:1: "a" was given before, at line 1, so nothing can be added to it here`},
		{"a = { b.c = 1, b = 2 }", `a@1:1={b@1:7={c@1:9="1"@1:13}@1:7}@1:5`, `f:1:16: "b" is given twice, first at line 1`},
		{"a = 1\n[a]\nb = 2", `a@1:1="1"@1:5`, `f:2:1: [a]: "a" was given before, at line 1`},
		{"a = []\n[[a]]\nb = 2", `a@1:1=[]@1:5`, `f:2:1: [[a]]: "a" was given before, at line 1, as a list`},
		{"[a]\n[a]", `a@1:1={}@1:1`, `f:2:1: [a] stands here again, first at line 1: for several write [[a]] each time`},

		// Reading goes on after a syntax error.
		{"a = \nb = 2\nc = ?\n[d]\ne = 1", `b@2:1="2"@2:5 d@4:1={e@5:1="1"@5:5}@4:1`, "f:1:5: a value is missing\nf:3:5: text stands in quotes: write \"?\""},
		{"[a\nb = 2\n[c]\nd = 3", `c@3:1={d@4:1="3"@4:5}@3:1`, "f:1:3: expected ']' to close table name"},
		{"a = [1,\nb = 2\n[c]\nd = 3", `c@3:1={d@4:1="3"@4:5}@3:1`, `f:2:1: unexpected character U+0062 'b' at start of value`},
		{"a = [\n?,\nb = 2,\n]\n[c]\nd = 3", `c@5:1={d@6:1="3"@6:5}@5:1`, `f:2:1: unexpected character U+003F '?' at start of value`},
		{"a = \"x\nb = 2", `b@2:1="2"@2:5`, `f:1:7: basic strings cannot have new lines`},
		{"a = 1 2\nb = 3", `b@2:1="3"@2:5`, `f:1:7: expected newline but got U+0032 '2'`},
		{"a = 5s", "", `f:1:5: a time stands in quotes: write "5s"`},
		{"a = [5s, 'x']\nb = 1", `b@2:1="1"@2:5`, `f:1:6: a time stands in quotes: write "5s"`},
		{"a = on", "", `f:1:5: write true or false, not on`},
		{"a = 0403", "", `f:1:5: a number cannot begin with 0: if it is text, write "0403"`},
		{"ATTR{x} = 1", "", `f:1:1: quote this key: "ATTR{x}"`},
		{"a = { ATTRS{x/y} = 1 }", "", `f:1:7: quote this key: "ATTRS{x/y}"`},
		{`a = "a\db"`, "", `f:1:5: a backslash begins an escape in "…": write 'a\db'`},
		{`a = "~a\db$"`, "", `f:1:5: a backslash begins an escape in "…": write '~a\db' (a ~regex is anchored already)`},
		{"a", "", "f:1:1: expected '=' after key"},
		{"a = 9999999999999999999", `a@1:1="9999999999999999999"@1:5`, `f:1:5: 9999999999999999999 is too large a number`},

		// The library's parser alone would let these pass.
		{"a = 2020-13-01", `a@1:1="2020-13-01"@1:5`, "f:1:10: impossible date"},
	} {
		tree, problems := Parse("f", []byte(c.text))
		var said []string
		for _, p := range problems {
			said = append(said, p.String())
		}
		if got := show(tree); got != c.want {
			t.Errorf("%q:\n%s\nwant:\n%s", c.text, got, c.want)
		}
		if got := strings.Join(said, "\n"); got != c.problems {
			t.Errorf("%q:\n%s\nwant:\n%s", c.text, got, c.problems)
		}
	}
}

// Long texts are refused, or read, in a time that their length bounds.
func TestLongTexts(t *testing.T) {
	var keys strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, "k%d = 1\n", i)
	}
	for what, text := range map[string]string{
		"keys":    keys.String(),
		"errors":  strings.Repeat("?\n", 500_000),
		"headers": strings.Repeat("[[a]]\n", 150_000),
		"nesting": "a = " + strings.Repeat("[", 9_000),
		"dots":    "a" + strings.Repeat(".a", 300_000) + " = 1",
	} {
		start := time.Now()
		_, problems := Parse("f", []byte(text))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", what, took)
		}
		if len(problems) > maxProblems+1 {
			t.Errorf("%s: %d problems", what, len(problems))
		}
	}
}

func TestDecoder(t *testing.T) {
	tree, problems := Parse("f", []byte(`
text = 5
also = ["x"]
flag = "yes"
flag2 = 1
number = "5"
number2 = 5.0
number3 = 11
time = 5
time2 = "5"
time3 = "5 s"
time4 = "-5s"
time5 = []
one = "thre"
texts = "x"
texts2 = [1, "x"]
table = 5
tables = { a = 1 }
tables2 = [1]
tezt = "x"
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var p Problems
	d := Decode(tree, "a thing", &p)
	var (
		text  = "kept"
		flag  = true
		n     = 7
		when  = time.Second
		texts = []string{"kept"}
	)
	d.Text("text", &text)
	d.Text("also", &text)
	d.Bool("flag", &flag)
	d.Bool("flag2", &flag)
	d.Int("number", &n, 0, 10)
	d.Int("number2", &n, 0, 10)
	d.Int("number3", &n, 0, 10)
	for _, k := range []string{"time", "time2", "time3", "time4", "time5"} {
		d.Time(k, &when)
	}
	d.OneOf("one", &text, "one", "two", "three")
	d.Texts("texts", &texts)
	d.Texts("texts2", &texts)
	d.Sub("table")
	d.Subs("tables")
	d.Subs("tables2")
	d.Missing("text", `"x"`) // forgiven: tezt was meant for it
	d.Missing("other", `"x"`)
	d.Done()
	if text != "kept" || !flag || n != 7 || when != time.Second || texts[0] != "kept" {
		t.Error("a wrong value was taken:", text, flag, n, when, texts)
	}
	want := `f:1:1: a thing needs other: write other = "x"
f:2:8: text is text: write "5"
f:3:8: also is text, not a list
f:4:8: flag: "yes" is text: write true or false, without quotes
f:5:9: flag2 is true or false, not a number
f:6:10: number is a number: write it without quotes
f:7:11: number2 is a whole number, not a decimal number
f:8:11: number3 is from 0 to 10, not 11
f:9:8: time is a time with unit: write "5s"
f:10:9: time2 is a time with unit: write "5s"
f:11:9: time3: "5 s" is no time: write "500ms", "5s", "1m30s" or "2h"
f:12:9: time4 cannot be negative
f:13:9: time5 is a time with unit, such as "5s", not a list
f:14:7: one is "one", "two" or "three", not "thre"; did you mean three?
f:15:9: texts is a list: write ["x"]
f:16:11: each of texts2 is text: write "1"
f:17:9: table is a table: write table = { … }, not a number
f:18:10: tables is a list of tables: write tables = [{ … }]
f:19:12: each of tables2 is a table: write { … }, not a number
f:20:1: a thing has no key "tezt"; did you mean text?`
	var got []string
	for _, problem := range p.Sorted() {
		got = append(got, problem.String())
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"require", "linger", "linger_gone", "name", "match", "SUBSYSTEM"}
	for word, want := range map[string]string{
		"requires": "require", "lingr": "linger", "nmae": "name", "subsystem": "SUBSYSTEM", "xyz": "", "lingergone": "linger_gone",
		"m": "", "SUBSYTEM": "SUBSYSTEM",
	} {
		if got := Nearest(word, candidates); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestQuoteTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: `"0s"`, time.Second: `"1s"`, 90 * time.Second: `"1m30s"`, time.Minute: `"1m"`, time.Hour: `"1h"`,
		100 * time.Millisecond: `"100ms"`, 2*time.Hour + 5*time.Minute: `"2h5m"`, 10 * time.Minute: `"10m"`, 20 * time.Hour: `"20h"`,
		time.Hour + time.Second: `"1h0m1s"`,
	} {
		if got := QuoteTime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// FuzzParse: no input panics; what is accepted the library accepts too, and what
// the library accepts is not called wrong; every problem has a place in the text.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a = 1\n[b]\nc = [1, 'x']\n[[d]]\ne = {f = 2020-01-01}", "a.b = 1\na.c = 2", "[[a]]\n[a.b]\n", "a = \"~^eth\\d+$\"",
		"ATTR{x} = 1", "a = 5s\nb = ", "[a\nb=1", "a = '''\nx'''", "= 1", "a = {\nb = 1,\n}", "\"a", "a = 0x1F\nb = 1e5\nc = inf",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, problems := Parse("f", data)
		show(tree)
		lines := strings.Split(string(data), "\n")
		for _, p := range problems {
			if p.Pos.Line < 1 || p.Pos.Line > len(lines) || p.Pos.Col < 1 || p.Pos.Col > len(lines[p.Pos.Line-1])+1 {
				t.Errorf("no such place: %s", p)
			}
			if strings.ContainsAny(p.Text, "\n") {
				t.Errorf("more than one line: %q", p.Text)
			}
		}
		var all map[string]any
		if err := gotoml.Unmarshal(data, &all); (err == nil) != (len(problems) == 0) {
			t.Errorf("library: %v; here: %v", err, problems)
		}
	})
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a'b\"c\\", "\x00\x7f\n", "ünï", `a\b`, "'''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "")
		tree, problems := Parse("f", []byte(QuoteKey(s)+" = "+Quote(s)))
		if len(problems) > 0 || tree.Keys[0].Name != s || tree.Keys[0].Value.Text != s {
			t.Fatalf("%q: %s %v", s, Quote(s), problems)
		}
	})
}

// Problems are asked for more than once, and more are found in between.
func TestSortedTwiceHasEachProblemOnce(t *testing.T) {
	var p Problems
	for range 3 {
		p.Errorf(Pos{File: "b"}, "bad")
		p.Warnf(Pos{File: "a"}, "odd")
		if got := p.Sorted(); len(got) != 2 || got[0].String() != "a: warning: odd" || got[1].String() != "b: bad" {
			t.Errorf("%q", got)
		}
	}
}

// A message may go to people who may not read the file.
func TestValuesOfEnvAreNotShown(t *testing.T) {
	for _, text := range []string{
		`env = { A = 's', TOKEN = s3cret }`, `env = { TOKEN = 03ec }`, `env = { TOKEN = "s3c\qret" }`, `env.TOKEN = "s3c\qret"`,
		"[env]\nA = '['\nTOKEN = s3cret", "x = 1\n[env] # secret\nTOKEN = \"s3c\\qret\"", "env = { TOKEN = 5s3cret }",
	} {
		_, problems := Parse("f", []byte(text))
		if len(problems) == 0 {
			t.Errorf("%q: no problem", text)
		}
		for _, p := range problems {
			if strings.Contains(p.Text, "ret") || strings.Contains(p.Text, "3ec") {
				t.Errorf("%q: %s", text, p)
			}
		}
	}
	// Other tables go on to be helped.
	if _, problems := Parse("f", []byte("[env]\n[match]\nname = eth0")); len(problems) != 1 || !strings.Contains(problems[0].Text, `write "eth0"`) {
		t.Error(problems)
	}
}
