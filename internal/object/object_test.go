package object

import "testing"

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		o           Object
		name, label string
	}{
		{Object{Life: Life{Key: LinkKey(3)}, Words: Words{"name": {"wan0"}}}, "wan0", "link:3:wan0"},
		{Object{Life: Life{Key: LinkKey(3)}}, "", "link:3"},
		{Object{Life: Life{Key: Key{Device, "/devices/x/ttyUSB0"}}, Words: Words{"KERNEL": {"ttyUSB0"}}}, "ttyUSB0", "device:/devices/x/ttyUSB0"},
		{Object{Life: Life{Key: Key{Mount, "/data"}}}, "/data", "mount:/data"},
	} {
		if c.o.Name() != c.name || c.o.Label() != c.label {
			t.Errorf("%v: %q %q, want %q %q", c.o.Life.Key, c.o.Name(), c.o.Label(), c.name, c.label)
		}
	}
}

func TestWords(t *testing.T) {
	w := Words{"a": {"1", "2"}, "unknown": nil}
	if w.Get("a") != "1" || w.Get("unknown") != "" || w.Get("absent") != "" {
		t.Errorf("Get: %q %q %q", w.Get("a"), w.Get("unknown"), w.Get("absent"))
	}
	for _, c := range []struct {
		o     Words
		equal bool
	}{
		{Words{"a": {"1", "2"}, "unknown": nil}, true},
		{Words{"a": {"2", "1"}, "unknown": nil}, false},
		{Words{"a": {"1", "2"}}, false}, // absent is not unknown
		{Words{"a": {"1", "2"}, "other": nil}, false},
		{Words{"a": {"1", "2"}, "unknown": {"x"}}, false},
	} {
		if w.Equal(c.o) != c.equal || c.o.Equal(w) != c.equal {
			t.Errorf("%v equal to %v: want %v", w, c.o, c.equal)
		}
	}
}
