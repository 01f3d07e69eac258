package match

import (
	"encoding/json"
	"testing"
)

// words is an object for tests: nil is unknown, an empty list absent.
type words map[string][]string

func (w words) Values(word string) ([]string, bool) {
	v, present := w[word]
	return v, !present || v != nil
}

func TestEval(t *testing.T) {
	object := words{
		"name":        {"wan0"},
		"empty":       {""},
		"altname":     {"enp1s0", "wan-alt"},
		"type":        {"ether"},
		"running":     {"true"},
		"up":          {"false"},
		"mtu":         {"1500"},
		"zeros":       {"00403"},
		"hex":         {"0x10"},
		"DEVNAME":     {"/dev/ttyUSB0"},
		"short":       {"bus/usb/001"},
		"ssid":        nil, // unknown
		"master":      {},  // absent
		"address4":    {"10.0.0.2/8", "10.0.0.3/8"},
		"default4":    {"false"},
		"ATTR{speed}": {"1000"},
		"target":      {"/mnt/a b"},
		"odd":         {"a*b", "[x]", "!x", "{name}"},
		"utf8":        {"größe"},
	}
	subject := words{"name": {"br0", "wan0"}, "state": nil, "star": {"w*"}, "close": {"]"}, "none": {}}
	for _, c := range []struct {
		cond string
		want Answer
	}{
		{`{}`, Yes},
		{`{ name = "wan0" }`, Yes},
		{`{ name = "wan" }`, No},
		{`{ name = "wan*" }`, Yes},
		{`{ name = "*0" }`, Yes},
		{`{ name = "w?n[0-9]" }`, Yes},
		{`{ name = "w?n[!0-9]" }`, No},
		{`{ name = "wan[^1-9a]" }`, Yes},
		{`{ name = "*a*n*" }`, Yes},
		{`{ name = "!lan*" }`, Yes},
		{`{ name = "!wan*" }`, No},
		{`{ name = '~wan\d' }`, Yes},
		{`{ name = '~an\d' }`, No},
		{`{ name = '~wan|lan' }`, No},
		{`{ name = '!~wan\d' }`, No},
		{`{ name = '!~lan\d' }`, Yes},
		{`{ type = ["loopback", "ether"] }`, Yes},
		{`{ type = ["loopback", "ppp"] }`, No},
		{`{ name = ["wan*", "!wan0"] }`, No},
		{`{ name = ["wan*", "!wan1"] }`, Yes},
		{`{ name = ["!lan0", "!wan1"] }`, Yes},
		{`{ name = ["!lan0", "!wan0"] }`, No},
		{`{ name = "wan0", type = "ppp" }`, No},
		{`{ running = true, up = false }`, Yes},
		{`{ running = false }`, No},
		{`{ up = [true, false] }`, Yes},
		{`{ mtu = 1500 }`, Yes},
		{`{ mtu = 1501 }`, No},
		{`{ mtu = [1280, 1500] }`, Yes},
		{`{ zeros = 403 }`, Yes}, // by value
		{`{ hex = 16 }`, Yes},
		{`{ name = 5 }`, No},
		{`{ mtu = "15*" }`, Yes},
		{`{ "ATTR{speed}" = "1000" }`, Yes},

		// Slashes are characters like others.
		{`{ target = "/mnt/*" }`, Yes},
		{`{ target = "/*" }`, Yes},
		{`{ target = "/mnt?a*" }`, Yes},
		{`{ odd = 'a\*b' }`, Yes},
		{`{ odd = '\!x' }`, Yes},
		{`{ odd = '\[x]' }`, Yes},
		{`{ odd = '[[]x]' }`, Yes},
		{`{ odd = "{{name}" }`, Yes},
		{`{ utf8 = "gr??e" }`, Yes},
		{`{ utf8 = "gr[ä-ü]ße" }`, Yes},
		{`{ utf8 = "gr*[!ß]e" }`, No}, // a class takes whole characters
		{`{ empty = "" }`, Yes},
		{`{ empty = "*" }`, Yes},
		{`{ empty = "?" }`, No},

		// DEVNAME is the same with and without /dev/.
		{`{ DEVNAME = "ttyUSB*" }`, Yes},
		{`{ DEVNAME = "/dev/ttyUSB0" }`, Yes},
		{`{ DEVNAME = "!/dev/ttyUSB0" }`, No},
		{`{ DEVNAME = '~ttyUSB\d' }`, Yes},
		{`{ DEVNAME = '~/dev/ttyUSB\d' }`, Yes},

		// Absent: only not matches, and false where absence means it.
		{`{ gone = "*" }`, No},
		{`{ gone = "!*" }`, No},
		{`{ gone = "!x" }`, No},
		{`{ gone = "" }`, No},
		{`{ gone = false }`, No},
		{`{ gone = 0 }`, No},
		{`{ not = { gone = "*" } }`, Yes},
		{`{ master = false }`, Yes},
		{`{ master = true }`, No},
		{`{ master = "*" }`, No},
		{`{ master = "!br0" }`, No},
		{`{ master = [false, "!br0"] }`, Yes},
		{`{ foreign = false, linklocal4 = false, default6 = false, address6 = false }`, Yes},
		{`{ address4 = false }`, No},
		{`{ address4 = true }`, Yes},
		{`{ default4 = false }`, Yes},
		{`{ default4 = true }`, No},

		// Unknown: nothing matches, not even under not.
		{`{ ssid = "*" }`, Unknown},
		{`{ ssid = "!home" }`, Unknown},
		{`{ ssid = false }`, Unknown},
		{`{ not = { ssid = "*" } }`, Unknown},
		{`{ not = { not = { ssid = "home" } } }`, Unknown},
		{`{ ssid = "home", name = "lan0" }`, No},
		{`{ ssid = "home", name = "wan0" }`, Unknown},
		{`{ not = { ssid = "home", name = "lan0" } }`, Yes},
		{`{ any = [{ ssid = "home" }, { name = "wan0" }] }`, Yes},
		{`{ any = [{ ssid = "home" }, { name = "lan0" }] }`, Unknown},
		{`{ all = [{ ssid = "home" }, { name = "lan0" }] }`, No},
		{`{ all = [{ ssid = "home" }, { name = "wan0" }] }`, Unknown},

		// Several values: any must match; for ! none may.
		{`{ altname = "wan*" }`, Yes},
		{`{ altname = "!wan*" }`, No},
		{`{ altname = "!eth*" }`, Yes},
		{`{ altname = ["enp*", "!wan*"] }`, No},

		// {word} is the subject's.
		{`{ name = "{name}" }`, Yes},
		{`{ type = "{name}" }`, No},
		{`{ name = "!{name}" }`, No},
		{`{ type = "!{name}" }`, Yes},
		{`{ name = "{state}" }`, Unknown},
		{`{ name = "!{state}" }`, Unknown},
		{`{ name = "{star}" }`, No}, // what it says, not a glob
		{`{ name = "{none}" }`, No},
		{`{ name = "!{none}" }`, Yes},
		{`{ altname = "*-{none}" }`, No},
		{`{ name = "wan[{close}1]" }`, No}, // a class of ] and 1
		{`{ name = "wan[{none}1]" }`, No},
		{`{ name = "*{close}" }`, No},
	} {
		cond, err := Parse(c.cond)
		if err != nil {
			t.Errorf("%s: %v", c.cond, err)
			continue
		}
		if got := cond.Eval(object, subject); got != c.want {
			t.Errorf("%s: %s, want %s", c.cond, got, c.want)
		}
	}
}

func TestEvalWithoutSubject(t *testing.T) {
	cond := Must(`{ name = "{name}" }`)
	if got := cond.Eval(words{"name": {"wan0"}}, nil); got != No {
		t.Error(got)
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range [][2]string{
		{`{ b = 1, a = "x" }`, `{ a = "x", b = 1 }`},
		{`b = ["!n", "p", true]`, `{ b = ["p", true, "!n"] }`},
		{`{ a = ["x"] }`, `{ a = "x" }`},
		{`{ "ATTR{x}" = '~\d' }`, `{ "ATTR{x}" = '~\d' }`},
		{`{ not = { b = 1 }, any = [{ a = 1 }], z = +5 }`, `{ z = 5, any = [{ a = 1 }], not = { b = 1 } }`},
		{`{ a = 'it''s' }`, ""},
		{`{ a = "it's \"x\"" }`, `{ a = "it's \"x\"" }`},
	} {
		cond, err := Parse(c[0])
		if (err != nil) != (c[1] == "") {
			t.Errorf("%s: %v", c[0], err)
		} else if err == nil && cond.String() != c[1] {
			t.Errorf("%s: %s, want %s", c[0], cond.String(), c[1])
		}
	}
}

func TestJSON(t *testing.T) {
	type holder struct{ M Cond }
	before := holder{Must(`{ name = ["a*", '!~b\d'], not = { up = true } }`)}
	data, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after holder
	if err := json.Unmarshal(data, &after); err != nil || after.M.String() != before.M.String() {
		t.Errorf("%s: %s, %v", data, after.M.String(), err)
	}
}

func TestQuestions(t *testing.T) {
	c := Must(`{ altname = ["x", "e*"], name = ["wan0", "wan1", "!x"], type = "e*", running = true, master = false, any = [{ kind = "veth", name = "{name}" }], not = { up = true } }`)
	equal(t, c.Words(), "altname", "kind", "master", "name", "running", "type", "up")
	equal(t, c.Refs(), "name")
	equal(t, c.Literals("name"), "wan0", "wan1")
	equal(t, c.Literals("running"), "true")
	for _, w := range []string{"altname", "type", "master", "kind", "up", "other"} {
		equal(t, c.Literals(w))
	}
	rest := c.Without(func(w string) bool { return w == "up" || w == "kind" })
	equal(t, rest.Words(), "altname", "master", "name", "running", "type")

	is := Is("target", `/a*{b}\`)
	if is.Eval(words{"target": {`/a*{b}\`}}, nil) != Yes || is.Eval(words{"target": {`/ax{b}\`}}, nil) != No {
		t.Error(is.String())
	}
	bang := Is("target", "!x")
	if bang.Eval(words{"target": {"!x"}}, nil) != Yes {
		t.Error(bang.String())
	}
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%q, want %q", got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEvalAllocatesNothing(t *testing.T) {
	cond := Must(`{ name = ["wan*", "!wan1"], type = "ether", running = true, mtu = 1500, any = [{ name = "x" }, { altname = "*0" }], not = { DEVNAME = "tty*" } }`)
	object := Reader(words{"name": {"wan0"}, "type": {"ether"}, "running": {"true"}, "mtu": {"1500"}, "altname": {"eth0"}, "DEVNAME": {"/dev/sda"}})
	if cond.Eval(object, nil) != Yes {
		t.Fatal("does not match")
	}
	if n := testing.AllocsPerRun(100, func() { cond.Eval(object, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGlobTakesBoundedTime(t *testing.T) {
	// Would take for ever with a matcher that tries every split.
	p, s := "", ""
	for range 200 {
		p, s = p+"*a", s+"a"
	}
	if glob(p+"b", s) {
		t.Error("matches")
	}
}

func FuzzParsePrint(f *testing.F) {
	for _, seed := range []string{
		`{ name = ["wan*", "!wan1"], mtu = 1500 }`, `{ all = [{ a = true }], any = [{}], not = { b = '~x{2}' } }`,
		`{ "ATTR{x}" = "{name}-[a-z]", b = "\\!\u0001" }`, `a = "{{b}"`, `{ a.b = 1 }`, "a = 'x'\nb = 2",
	} {
		f.Add(seed)
	}
	object := words{"name": {"wan0", "{x}"}, "a": nil, "b": {}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		printed := c.String()
		again, err := Parse(printed)
		if err != nil {
			t.Fatalf("%q prints as %s: %v", text, printed, err)
		}
		if again.String() != printed {
			t.Fatalf("%q prints as %s and then as %s", text, printed, again.String())
		}
		if c.Eval(object, object) != again.Eval(object, object) {
			t.Fatalf("%q: another answer after printing", text)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	cond := Must(`{ SUBSYSTEM = "tty", KERNEL = "ttyUSB*", DEVTYPE = "x" }`)
	object := Reader(words{"SUBSYSTEM": {"tty"}, "KERNEL": {"ttyUSB0"}, "DEVTYPE": {"y"}})
	for b.Loop() {
		cond.Eval(object, nil)
	}
}
