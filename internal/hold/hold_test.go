package hold

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/object"
)

func life(id string, incarnation uint64, flaps uint32) object.Life {
	return object.Life{Key: object.Key{Kind: object.Link, ID: id}, Incarnation: incarnation, Flaps: flaps}
}

func cover(marks ...Marked) Cover { return Cover{Holder: "rule:r", Marks: marks} }

func TestCompare(t *testing.T) {
	a := Marked{life("3", 3, 0), "ssid=home"}
	flapped := Marked{life("3", 3, 1), "ssid=home"}
	roamed := Marked{life("3", 3, 0), "ssid=office"}
	replugged := Marked{life("3", 4, 0), "ssid=home"}
	b := Marked{life("5", 5, 0), ""}
	c := Marked{life("7", 7, 2), ""}
	for _, x := range []struct {
		name     string
		was, now Cover
		want     Bounced
	}{
		{"the same", cover(a), cover(a), Same},
		{"another came", cover(a), cover(a, b), Same},
		{"one of two went", cover(a, b), cover(b), Same},
		{"one of two flapped", cover(a, b), cover(flapped, b), Same},
		{"in another order", cover(a, b, c), cover(c, a), Same},
		{"it flapped", cover(a), cover(flapped), Flapped},
		{"a word changed", cover(a), cover(roamed), Flapped},
		{"both flapped", cover(flapped, c), cover(a, Marked{life("7", 7, 3), ""}), Flapped},
		{"one flapped, the other was replaced", cover(a, b), cover(flapped, Marked{life("5", 6, 0), ""}), Flapped},
		{"one flapped, the other went and one came", cover(a, b), cover(flapped, c), Flapped},
		{"another life", cover(a), cover(replugged), Replaced},
		{"another object", cover(a), cover(b), Replaced},
		{"other objects", cover(a, b), cover(c), Replaced},
		{"the same id of another kind", cover(b), cover(Marked{object.Life{Key: object.Key{Kind: object.Mount, ID: "5"}, Incarnation: 5}, ""}), Replaced},
	} {
		if got := x.was.Compare(x.now); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

func TestCovers(t *testing.T) {
	at := func(holder, id string, p Phase) Hold {
		return Hold{Holder: holder, Life: life(id, 1, 0), Phase: p, Marks: "m" + id}
	}
	got := Covers([]Hold{
		at("rule:b", "1", Held), at("uid:0", "", Held), at("rule:a", "2", Held), at("rule:b", "3", Lingering), at("rule:b", "4", Held),
		at("service:x", "", Held), at("rule:c", "5", Settling), at("rule:c", "6", Suppressed), at("rule:c", "7", Provisional), at("admin", "", Held),
	})
	var text []string
	for _, c := range got {
		s := c.Holder
		for _, m := range c.Marks {
			s += " " + m.Life.Key.ID + m.Marks
		}
		text = append(text, s)
	}
	if want := []string{"rule:b 1m1 4m4", "rule:a 2m2"}; !slices.Equal(text, want) {
		t.Errorf("covers %q, want %q: rules that hold, in the order of the holds, and nothing else", text, want)
	}
	if Covers(nil) != nil {
		t.Error("nothing held covers something")
	}
}

func TestLevels(t *testing.T) {
	if !(Down < Keep && Keep < Up) {
		t.Fatal("the levels are in disorder")
	}
	for p, want := range map[Phase]Level{Held: Up, Settling: Keep, Lingering: Keep, Provisional: Keep, Suppressed: Down} {
		if p.Level() != want {
			t.Errorf("%s asks for %v, want %v", p, p.Level(), want)
		}
	}
	for _, c := range []struct {
		cap  Cap
		want Level
	}{{Cap{}, Up}, {Cap{Kind: CapStop}, Down}, {Cap{Kind: CapBlock}, Down}, {Cap{By: "uid:0"}, Up}} {
		if c.cap.Level() != c.want {
			t.Errorf("%+v lets %v through, want %v", c.cap, c.cap.Level(), c.want)
		}
	}
	for _, l := range []Level{Down, Keep, Up} {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back Level
		if err := json.Unmarshal(b, &back); err != nil || back != l || string(b) != fmt.Sprintf("%q", l) {
			t.Errorf("%v is %s and back %v, %v", l, b, back, err)
		}
	}
	var l Level
	if err := json.Unmarshal([]byte(`"sideways"`), &l); err == nil || !strings.Contains(err.Error(), "sideways") {
		t.Errorf("an unknown level: %v", err)
	}
}

func TestHolders(t *testing.T) {
	for _, c := range []struct{ holder, rule, service string }{
		{RuleHolder("wired"), "wired", ""},
		{ServiceHolder("dhcp@rule:x"), "", "dhcp@rule:x"},
		{"uid:0", "", ""}, {Admin, "", ""}, {Boot, "", ""}, {"as:rule:x", "", ""},
	} {
		h := Hold{Holder: c.holder}
		r, isRule := h.Rule()
		s, isService := h.Service()
		if isRule != (c.rule != "") || isRule && r != c.rule || isService != (c.service != "") || isService && s != c.service {
			t.Errorf("%s: rule %q %v, service %q %v", c.holder, r, isRule, s, isService)
		}
	}
}
