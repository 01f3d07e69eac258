package object

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzStore: what a snapshot says of the objects is refused, or read, and then
// written as it was read.
func FuzzStore(f *testing.F) {
	var s Store
	s.Apply(Batch{Put: []Object{
		{Life: Life{Key: LinkKey(3), Incarnation: 3, Flaps: 2}, Words: Words{"name": {"eth0"}, "ssid": nil, "address": {}}, Cause: "list"},
		{Life: Life{Key: Key{Device, "/devices/a/b"}, Incarnation: 1 << 63}, Words: Words{"DEVNAME": {"/dev/x", "x"}}},
	}})
	b, err := json.Marshal(&s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, text := range []string{"null", "[]", "[null]", `[{"Life":{"key":{"kind":"link","id":"1"}}},{"Life":{"key":{"kind":"link","id":"1"}}}]`, `[{"Words":{"":null}}]`, "{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, again Store
		if json.Unmarshal(text, &first) != nil {
			return
		}
		b, err := json.Marshal(&first)
		if err == nil {
			err = json.Unmarshal(b, &again)
		}
		c, _ := json.Marshal(&again)
		if err != nil || !bytes.Equal(b, c) || again.Len() != first.Len() {
			t.Fatalf("%s\nthen\n%s\n%v", b, c, err)
		}
		for _, o := range first.All("") {
			if first.Get(o.Life.Key) != o {
				t.Errorf("%v is not found by its key", o.Life)
			}
			first.Values(o, "ATTRS{x}")
		}
	})
}
