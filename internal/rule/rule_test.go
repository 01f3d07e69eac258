package rule

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// parse reads rules that must be right.
func parse(t testing.TB, text string) []Rule {
	t.Helper()
	rules, problems := Parse("rules.toml", []byte(text), &DefaultDamping)
	if toml.HasErrors(problems) {
		t.Fatal(problems)
	}
	return rules
}

// one reads a rule on a kind with a match.
func one(t testing.TB, kind, cond string) *Rule {
	t.Helper()
	return &parse(t, fmt.Sprintf("[[rule]]\nname = 'x'\nobject = %q\nmatch = %s\nrequire = ['svc']", kind, cond))[0]
}

const everyKey = `
[[rule]]
name        = "all"
object      = "link"
match       = { type = "ether", name = ["wan*", "!wan9"], not = { up = false } }
while       = [{ object = "link", match = { name = "{master}" } }, { object = "clock", match = { synchronized = true } }]
unless      = [{ object = "device", match = { SUBSYSTEM = "tty" } }]
require     = ["dhcp@{name}", "fw"]
settle      = "1s"
linger      = "5s"
linger_gone = "2s"
on_bounce   = "signal:SIGUSR1"
bounce_on   = ["ssid"]
link_up     = true
claim       = true
damping     = { half_life = "1m", suppress = 9, reuse = 3, max = "1h" }
`

func TestParse(t *testing.T) {
	r := parse(t, everyKey)[0]
	if r.Name != "all" || r.Pos.String() != "rules.toml:2:1" || r.Object != object.Link || len(r.While) != 2 || len(r.Unless) != 1 ||
		r.Settle != time.Second || r.Linger != 5*time.Second || r.LingerGone != 2*time.Second || r.OnBounce != (Bounce{Signal: "USR1"}) ||
		!r.LinkUp || !r.Claim || *r.Damping != (Damping{time.Minute, 9, 3, time.Hour}) || len(r.RequirePos) != 2 {
		t.Errorf("%+v", r)
	}
	if got := r.RequirePos[1].String(); got != "rules.toml:8:31" {
		t.Error(got)
	}
}

// A match may be a table of its own; the answer is the same.
func TestHeaderForm(t *testing.T) {
	r := parse(t, `
[[rule]]
name = "x"
object = "link"
require = ["a"]
[rule.match]
type = "ether"
[[rule.unless]]
object = "link"
match.master = "{name}"
[[rule]]
name = "y"
object = "clock"
match.synchronized = true
require = ["a"]
`)
	if len(r) != 2 || r[0].Match.String() != `{ type = "ether" }` || r[0].Unless[0].Match.String() != `{ master = "{name}" }` || r[1].Match.String() != "{ synchronized = true }" {
		t.Error(r)
	}
}

func TestDefaults(t *testing.T) {
	for kind, gone := range map[string]time.Duration{"device": 100 * time.Millisecond, "link": 0, "mount": 0} {
		r := one(t, kind, "{}")
		if r.Settle != 0 || r.Linger != 0 || r.LingerGone != gone || r.OnBounce != (Bounce{}) || r.LinkUp || r.Claim || *r.Damping != DefaultDamping {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	off := parse(t, "[[rule]]\nname='x'\nobject='link'\nmatch={up=true}\nclaim=true\ndamping=false")[0]
	if off.Damping != nil {
		t.Error("damping = false does not switch it off")
	}
	house, _ := Parse("f", []byte("[[rule]]\nname='x'\nobject='link'\nmatch={up=true}\nrequire=['a']"), nil)
	if house[0].Damping != nil {
		t.Error("the default for every rule is not taken")
	}
}

func TestPrint(t *testing.T) {
	for _, text := range []string{
		everyKey,
		"[[rule]]\nname='x'\nobject='device'\nmatch={'ATTR{x}'='~a\\d{2}'}\nrequire=[]\nclaim=true\ndamping=false",
		"[[rule]]\nname='x'\nobject='mount'\nmatch={target='/mnt/*'}\nrequire=['a']\non_bounce='restart'\nlinger_gone='1m'",
	} {
		first := parse(t, text)[0]
		again := parse(t, first.String())[0]
		first.Pos, first.RequirePos, again.Pos, again.RequirePos = toml.Pos{}, nil, toml.Pos{}, nil
		same := cmp.Comparer(func(a, b match.Cond) bool { return a.String() == b.String() })
		if diff := cmp.Diff(first, again, same); diff != "" {
			t.Errorf("%s\nprints as\n%s\n%s", text, first.String(), diff)
		}
	}
}

func FuzzParsePrint(f *testing.F) {
	f.Add(everyKey)
	f.Add("[[rule]]\nname='x'\nobject='device'\nmatch={any=[{}]}\nrequire=['a@{ATTR{x}}']\n[[rule]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		rules, problems := Parse("f", []byte(text), &DefaultDamping)
		NewIndex(rules) // incomplete rules do no harm
		if toml.HasErrors(problems) {
			return
		}
		for _, r := range rules {
			again, problems := Parse("f", []byte(r.String()), &DefaultDamping)
			if toml.HasErrors(problems) || len(again) != 1 || again[0].String() != r.String() {
				t.Fatalf("%s\n%v", r.String(), problems)
			}
		}
	})
}

type reader object.Words

func (r reader) Values(word string) ([]string, bool) {
	v, present := r[word]
	return v, !present || v != nil
}

func TestExpand(t *testing.T) {
	r := reader{
		"name": {"wan0"}, "ssid": nil, "many": {"a", "b"}, "DEVNAME": {"/dev/ttyUSB0"}, "empty": {""}, "slash": {"bus/usb"},
		"dots": {"..", ""}, "ATTR{x}": {"7"}, "dash": {"-x"}, "brace": {"{name}"}, "long": {strings.Repeat("x", 64)}, "space": {"a b"},
	}
	for _, c := range []struct{ template, want, wrong string }{
		{"fw", "fw", ""},
		{"getty@tty1", "getty@tty1", ""},
		{"getty@/dev/tty0", "getty@/dev/tty0", ""}, // named by a person
		{"dhcp@{name}", "dhcp@wan0", ""},
		{"x@{name}-{ATTR{x}}@y", "x@wan0-7@y", ""},
		{"getty@{DEVNAME}", "getty@ttyUSB0", ""},
		{"x@{long}", "x@" + strings.Repeat("x", 64), ""},
		{"x@{long}y", "", `x@{long}y: "` + strings.Repeat("x", 64) + `y" is no instance name (letters, digits and _ . : + = @ -, at most 64)`},
		{"x@{gone}", "", "x@{gone}: it has no gone"},
		{"x@{many}", "", "x@{many}: many has 2 values, a name needs one"},
		{"x@{ssid}", "", "x@{ssid}: ssid is not known yet"},
		{"x@{empty}", "", `x@{empty}: "" is no instance name (letters, digits and _ . : + = @ -, at most 64)`},
		{"x@{slash}", "", `x@{slash}: "bus/usb" is no instance name (letters, digits and _ . : + = @ -, at most 64)`},
		{"x@{dash}", "", `x@{dash}: "-x" is no instance name (letters, digits and _ . : + = @ -, at most 64)`},
		{"x@{brace}", "", `x@{brace}: "{name}" is no instance name (letters, digits and _ . : + = @ -, at most 64)`}, // once only
		{"x@{space}", "", `x@{space}: "a b" is no instance name (letters, digits and _ . : + = @ -, at most 64)`},
	} {
		got, err := Expand(c.template, r)
		wrong := ""
		if err != nil {
			wrong = err.Error()
		}
		if got != c.want || wrong != c.wrong {
			t.Errorf("%s: %q, %q; want %q, %q", c.template, got, wrong, c.want, c.wrong)
		}
		if errors.Is(err, ErrUnknown) != strings.HasSuffix(c.wrong, "yet") {
			t.Errorf("%s: unknown and absent are mixed up", c.template)
		}
	}
}

func TestReadsStateAndIdentity(t *testing.T) {
	for _, c := range []struct {
		kind, cond string
		state      bool
		identity   string
	}{
		{"link", `{ type = "ether", running = true, master = false, mtu = 1500 }`, true, `{ type = "ether" }`},
		{"link", `{ type = "ether", master = false, up = true }`, false, `{ type = "ether" }`},
		{"link", `{ name = "a", any = [{ kind = "x" }, { address4 = "*" }] }`, true, `{ name = "a" }`},
		{"link", `{ name = "a", not = { kind = "x" } }`, false, `{ name = "a", not = { kind = "x" } }`},
		{"link", `{ ssid = "home" }`, true, `{}`},
		{"device", `{ SUBSYSTEM = "tty" }`, false, `{ SUBSYSTEM = "tty" }`},
	} {
		r := one(t, c.kind, c.cond)
		if identity := r.Identity(); r.ReadsState() != c.state || identity.String() != c.identity {
			t.Errorf("%s: %v, %s; want %v, %s", c.cond, r.ReadsState(), identity.String(), c.state, c.identity)
		}
	}
	for cond, want := range map[string]bool{`{ name = "wan0" }`: true, `{ name = "wan*" }`: false, `{ up = true }`: false, `{ name = ["a", "b"] }`: true} {
		if one(t, "link", cond).NamesOne() != want {
			t.Errorf("%s: NamesOne is %v", cond, !want)
		}
	}
}

func TestParseCondition(t *testing.T) {
	for _, c := range []struct{ kind, text, wrong string }{
		{"link", `{ name = "wan*", SUBSYSTEM = "net" }`, ""},
		{"", `name = "wan*", ro = true`, ""},
		{"link", `{ nmae = "x" }`, `match { nmae = "x" }: a link has no word "nmae"; did you mean name?`},
		{"", `{ any = [{ nmae = "x" }] }`, `match { any = [{ nmae = "x" }] }: no object has a word "nmae"; did you mean name?`},
		{"device", `{ carrier = true }`, `match { carrier = true }: carrier is a word of links: write object = "link", or leave it out`},
		{"link", `{ name = }`, "match { name = }: a value is missing"},
	} {
		_, err := ParseCondition(object.Kind(c.kind), c.text)
		if (err == nil) != (c.wrong == "") || err != nil && err.Error() != c.wrong {
			t.Errorf("%s: %v, want %s", c.text, err, c.wrong)
		}
	}
}

func TestAttrNames(t *testing.T) {
	rules := parse(t, `
[[rule]]
name = "a"
object = "device"
match = { "ATTR{size}" = "*", "ATTRS{idVendor}" = "0403" }
unless = [{ object = "device", match = { "ATTR{a/b}" = "{ATTR{c}}" } }]
require = ["x@{ATTR{serial}}"]
[[rule]]
name = "b"
object = "link"
match = { "ATTR{size}" = "1", name = "x" }
require = ["x"]
`)
	if got := AttrNames(rules); !slices.Equal(got, []string{"a/b", "c", "idVendor", "serial", "size"}) {
		t.Error(got)
	}
}

// randomCond makes a condition on few words and values, so that many match.
func randomCond(rnd *rand.Rand) string {
	value := func() string {
		return []string{`"a"`, `"b"`, `"c"`, `"a*"`, `"!b"`, `["a", "b"]`, `["a", "!b"]`, `"*"`, `'~[ab]'`, `["a", "b*"]`}[rnd.IntN(10)]
	}
	var parts []string
	for _, w := range []string{"SUBSYSTEM", "KERNEL", "DEVNAME", "DRIVER", `"ATTR{x}"`, `"ATTRS{x}"`} {
		if rnd.IntN(3) == 0 {
			parts = append(parts, w+" = "+value())
		}
	}
	if rnd.IntN(4) == 0 {
		parts = append(parts, "any = [{ KERNEL = "+value()+" }, { DEVTYPE = "+value()+" }]")
	}
	if rnd.IntN(4) == 0 {
		parts = append(parts, "not = { DRIVER = "+value()+" }")
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// TestIndex compares with asking every rule: no rule that answers yes or unknown
// may be missing, and the order is that of the rules.
func TestIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var text strings.Builder
		for i := range rnd.IntN(20) {
			fmt.Fprintf(&text, "[[rule]]\nname = 'r%d'\nobject = 'device'\nmatch = %s\nrequire = ['x']\n", i, randomCond(rnd))
		}
		rules := parse(t, text.String())
		x := NewIndex(rules)
		for range 20 {
			w := object.Words{}
			for _, name := range []string{"SUBSYSTEM", "KERNEL", "DEVNAME", "DRIVER", "ATTR{x}", "DEVTYPE"} {
				switch rnd.IntN(6) {
				case 0:
					w[name] = nil
				case 1:
					w[name] = []string{"a", "b"}
				case 2:
					w[name] = []string{[]string{"/dev/a", "/dev/c"}[rnd.IntN(2)]}
				case 3, 4:
					w[name] = []string{[]string{"a", "b", "c"}[rnd.IntN(3)]}
				}
			}
			o := &object.Object{Life: object.Life{Key: object.Key{Kind: object.Device, ID: "/devices/x"}}, Words: w}
			got := x.Candidates(o, []int{-1})
			if got[0] != -1 || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Fatal("out of order, or twice:", got)
			}
			seen := reader(maps.Clone(w))
			seen["ATTRS{x}"] = []string{"a"} // of an ancestor: no word of the object's own
			for i := range rules {
				if rules[i].Match.Eval(seen, nil) != match.No && !slices.Contains(got, i) {
					t.Fatalf("%s may match %v, and is no candidate", rules[i].Match.String(), w)
				}
			}
		}
	}
}

// manyRules makes rules none of which matches noMatch.
func manyRules(t testing.TB, n int) []Rule {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[rule]]\nname = 'r%d'\nobject = 'device'\nmatch = { SUBSYSTEM = 'tty', KERNEL = 'ttyUSB%d', 'ATTRS{idVendor}' = '04*' }\nrequire = ['x']\n", i, i)
	}
	return parse(t, text.String())
}

var noMatch = &object.Object{
	Life:  object.Life{Key: object.Key{Kind: object.Device, ID: "/devices/virtual/tty/tty63"}},
	Words: object.Words{"SUBSYSTEM": {"tty"}, "KERNEL": {"tty63"}, "DEVNAME": {"tty63"}, "MAJOR": {"4"}, "MINOR": {"63"}},
}

func TestCandidatesAllocateNothing(t *testing.T) {
	x := NewIndex(manyRules(t, 100))
	buf := make([]int, 0, 8)
	if got := x.Candidates(noMatch, buf); len(got) != 0 {
		t.Fatal(got)
	}
	if n := testing.AllocsPerRun(100, func() { x.Candidates(noMatch, buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNoMatch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := NewIndex(manyRules(b, n))
			buf := make([]int, 0, 8)
			for b.Loop() {
				x.Candidates(noMatch, buf)
			}
		})
	}
}

// A max that keeps the penalty below suppress would switch damping off silently.
func TestDampingThatNeverSuppresses(t *testing.T) {
	text := "[[rule]]\nname = \"a\"\nobject = \"link\"\nmatch = { name = \"a\" }\nrequire = [\"a\"]\ndamping = { max = \"%s\" }\n"
	for max, want := range map[string]bool{"15s": true, "29s": true, "30s": false, "2m": false} {
		_, problems := Parse("f", fmt.Appendf(nil, text, max), nil)
		if got := toml.HasErrors(problems); got != want {
			t.Errorf("max = %s: refused %v, want %v: %v", max, got, want, problems)
		}
	}
}
