package rule

import (
	"testing"

	"hotsvc/internal/object"
)

const wired = `
[[rule]]
name = "wired"
object = "link"
match = { type = "ether", running = true, name = "wan0" }
while = [{ object = "link", match = { master = "{name}" } }]
require = ["dhcp@{name}"]
linger = "5s"
[[rule]]
name = "tty"
object = "device"
match = { SUBSYSTEM = "tty", DEVNAME = "/dev/ttyUSB*", "ATTRS{idVendor}" = "0403" }
require = ["getty@{DEVNAME}"]
`

func TestParsePrint(t *testing.T) {
	rules, problems := Parse("wired.toml", []byte(wired), &DefaultDamping)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, r := range rules {
		again, problems := Parse("again", []byte(r.String()), &DefaultDamping)
		if len(problems) > 0 || len(again) != 1 || again[0].String() != r.String() {
			t.Errorf("%s\n%v\n%v", r.String(), again, problems)
		}
	}
	x := NewIndex(rules)
	o := &object.Object{Life: object.Life{Key: object.LinkKey(3)}, Words: object.Words{"name": {"wan0"}}}
	if got := x.Candidates(o, nil); len(got) != 1 || got[0] != 0 {
		t.Error(got)
	}
}
