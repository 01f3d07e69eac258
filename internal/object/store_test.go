package object

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// naive is the store as a plain list that is searched from end to end.
type naive []Object

func (n naive) find(k Key) int {
	return slices.IndexFunc(n, func(o Object) bool { return o.Life.Key == k })
}

func (n naive) put(o Object) naive {
	if i := n.find(o.Life.Key); i >= 0 {
		n = slices.Delete(slices.Clone(n), i, i+1)
	}
	return append(n, o)
}

func (n naive) drop(k Key) naive {
	return slices.DeleteFunc(slices.Clone(n), func(o Object) bool { return o.Life.Key == k })
}

// apply is what a batch means, one word of its description after the other.
func (n naive) apply(b Batch) naive {
	for _, m := range b.Moves {
		var moved []Object
		for _, o := range n {
			if k := o.Life.Key; k.Kind == Device && (k.ID == m.From || strings.HasPrefix(k.ID, m.From+"/")) {
				moved = append(moved, o)
			}
		}
		for _, o := range moved {
			n = n.drop(o.Life.Key)
		}
		for _, o := range moved {
			id := m.To + o.Life.Key.ID[len(m.From):]
			o.Life.Key.ID = id
			words := Words{}
			for k, v := range o.Words {
				words[k] = v
			}
			words["DEVPATH"], words["KERNEL"] = []string{id}, []string{id[strings.LastIndex(id, "/")+1:]}
			o.Words = words
			n = n.put(o)
		}
	}
	if b.Full {
		n = slices.DeleteFunc(slices.Clone(n), func(o Object) bool {
			return slices.Contains(b.Kinds, o.Life.Key.Kind) && !slices.ContainsFunc(b.Put, func(p Object) bool { return p.Life.Key == o.Life.Key })
		})
	}
	for _, o := range b.Put {
		n = n.put(o)
	}
	for _, k := range b.Gone {
		n = n.drop(k)
	}
	return n
}

// facts is what must be equal: everything but who told it.
func facts(o *Object) string {
	if o == nil {
		return "nothing"
	}
	return fmt.Sprintf("%v %v", o.Life, o.Words)
}

func (n naive) all() []string {
	n = slices.Clone(n)
	slices.SortFunc(n, func(a, b Object) int { return a.Life.Key.Compare(b.Life.Key) })
	var out []string
	for i := range n {
		out = append(out, facts(&n[i]))
	}
	return out
}

func storeFacts(s *Store) []string {
	var out []string
	for _, o := range s.All("") {
		out = append(out, facts(o))
	}
	return out
}

var devpaths = []string{"/d/a", "/d/a/x", "/d/a/x/1", "/d/ab", "/d/b", "/d/b/x", "/d/c"}

// inventObject makes an object of any kind, in one of a few places, lives and words.
func inventObject(r *rand.Rand) Object {
	o := Object{Life: Life{Incarnation: uint64(r.IntN(3)), Flaps: uint32(r.IntN(2))}, Words: Words{}, Cause: fmt.Sprint(r.IntN(100))}
	switch r.IntN(4) {
	case 0, 1:
		o.Life.Key = Key{Device, devpaths[r.IntN(len(devpaths))]}
		o.Words["DEVPATH"] = []string{o.Life.Key.ID}
	case 2:
		o.Life.Key = LinkKey(1 + r.IntN(4))
	case 3:
		o.Life.Key = Key{Mount, "/" + string(rune('p'+r.IntN(3)))}
	}
	for range r.IntN(3) {
		w := string(rune('A' + r.IntN(3)))
		o.Words[w] = [][]string{nil, {"1"}, {"2"}, {"1", "2"}}[r.IntN(4)]
	}
	return o
}

// inventBatch makes a batch; a move goes to a place that is not inside itself,
// as the kernel has it.
func inventBatch(r *rand.Rand) Batch {
	b := Batch{}
	if r.IntN(4) == 0 {
		m := Move{From: devpaths[r.IntN(len(devpaths))], To: devpaths[r.IntN(len(devpaths))]}
		if m.From != m.To && !strings.HasPrefix(m.To, m.From+"/") {
			b.Moves = append(b.Moves, m)
		}
	}
	named := map[Key]bool{}
	if r.IntN(5) == 0 {
		b.Full, b.Kinds = true, []Kind{Kinds[r.IntN(len(Kinds))]}
	}
	for range r.IntN(4) {
		if o := inventObject(r); !named[o.Life.Key] && (!b.Full || o.Life.Key.Kind == b.Kinds[0]) {
			named[o.Life.Key] = true
			b.Put = append(b.Put, o)
		}
	}
	for range r.IntN(3) {
		if k := inventObject(r).Life.Key; !named[k] {
			named[k] = true
			b.Gone = append(b.Gone, k)
		}
	}
	return b
}

// TestStoreWalk applies random batches to a store and to a list that is searched
// from end to end. After each, both hold the same, the changes lead from the one
// before to the one now, and JSON gives the store back.
func TestStoreWalk(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		var s Store
		var n naive
		for step := range 150 {
			before := map[Key]string{}
			for _, o := range s.All("") {
				before[o.Life.Key] = facts(o)
			}
			b := inventBatch(r)
			changes := s.Apply(b)
			n = n.apply(b)
			where := fmt.Sprintf("seed %d step %d: %+v", seed, step, b)
			if got, want := storeFacts(&s), n.all(); !slices.Equal(got, want) {
				t.Fatalf("%s\nstore %q\nwant  %q", where, got, want)
			}
			checkChanges(t, where, before, changes, &s)
			if step%10 == 0 {
				checkJSON(t, where, &s)
			}
			for _, k := range append(Kinds, "") {
				all := s.All(k)
				if !slices.IsSortedFunc(all, func(a, b *Object) int { return a.Life.Key.Compare(b.Life.Key) }) {
					t.Fatalf("%s: All(%s) is not in order", where, k)
				}
				for _, o := range all {
					if k != "" && o.Life.Key.Kind != k || s.Get(o.Life.Key) != o {
						t.Fatalf("%s: All(%s) has %v", where, k, o.Life)
					}
				}
			}
		}
		if s.Len() != len(n) {
			t.Fatalf("Len() = %d, there are %d", s.Len(), len(n))
		}
	}
}

// checkChanges replays the changes over what was there before: the result must
// be what is there now, and no change may tell nothing.
func checkChanges(t *testing.T, where string, was map[Key]string, changes []Change, s *Store) {
	t.Helper()
	for _, c := range changes {
		from := c.Key
		if c.From.ID != "" {
			from = c.From
		}
		switch {
		case c.Before == nil && c.After == nil:
			t.Fatalf("%s: a change without a before and an after: %+v", where, c)
		case c.Before != nil && was[from] != facts(c.Before):
			t.Fatalf("%s: before %v was %q, the change says %q", where, from, was[from], facts(c.Before))
		case c.Before == nil && was[from] != "":
			t.Fatalf("%s: %v was there, and its change has no before", where, from)
		case c.After != nil && c.After.Life.Key != c.Key:
			t.Fatalf("%s: change of %v is about %v", where, c.Key, c.After.Life.Key)
		case c.From.ID == "" && c.Before != nil && c.After != nil && facts(c.Before) == facts(c.After):
			t.Fatalf("%s: %v did not change, and a change says so", where, c.Key)
		}
		delete(was, from)
		if c.After != nil {
			was[c.Key] = facts(c.After)
		}
	}
	now := map[Key]string{}
	for _, o := range s.All("") {
		now[o.Life.Key] = facts(o)
	}
	if !reflect.DeepEqual(was, now) {
		t.Fatalf("%s: the changes %+v lead to %v, there is %v", where, changes, was, now)
	}
}

func checkJSON(t *testing.T, where string, s *Store) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Store
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.All(""), back.All("")) {
		t.Fatalf("%s: JSON gave something else back: %s", where, text)
	}
}

// TestChangeOrder: changes come in the order of the batch, and what a full list
// does not name comes last.
func TestChangeOrder(t *testing.T) {
	var s Store
	link := func(i int) Object { return Object{Life: Life{Key: LinkKey(i)}, Words: Words{"n": {fmt.Sprint(i)}}} }
	s.Apply(Batch{Put: []Object{link(1), link(2), link(3), link(4)}})
	other := link(2)
	other.Life.Incarnation = 9
	var got []string
	for _, c := range s.Apply(Batch{Full: true, Kinds: []Kind{Link}, Put: []Object{link(7), other, link(3)}}) {
		got = append(got, fmt.Sprintf("%s %v %v", c.Key.ID, c.Before != nil, c.After != nil))
	}
	want := []string{"7 false true", "2 true true", "1 true false", "4 true false"}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
}

// TestFullKeepsOtherKinds: a source's full list says nothing of the others' objects.
func TestFullKeepsOtherKinds(t *testing.T) {
	var s Store
	s.Apply(Batch{Put: []Object{{Life: Life{Key: LinkKey(1)}}, {Life: Life{Key: Key{Mount, "/"}}}}})
	s.Apply(Batch{Full: true, Kinds: []Kind{Mount}})
	if s.Get(LinkKey(1)) == nil || s.Get(Key{Mount, "/"}) != nil || s.Len() != 1 {
		t.Errorf("after a full list of mounts: %q", storeFacts(&s))
	}
}

// TestToldAgain: what is told again unchanged keeps its first cause.
func TestToldAgain(t *testing.T) {
	var s Store
	o := Object{Life: Life{Key: LinkKey(1)}, Words: Words{"a": {"1"}}, Cause: "rtnetlink newlink"}
	s.Apply(Batch{Put: []Object{o}})
	o.Cause = "list"
	if changes := s.Apply(Batch{Put: []Object{o}}); len(changes) != 0 || s.Get(LinkKey(1)).Cause != "rtnetlink newlink" {
		t.Errorf("told again: %v, cause %s", changes, s.Get(LinkKey(1)).Cause)
	}
	o.Life.Flaps++
	if changes := s.Apply(Batch{Put: []Object{o}}); len(changes) != 1 {
		t.Errorf("a carrier loss with the same words is news: %v", changes)
	}
}

func TestValues(t *testing.T) {
	var s Store
	put := func(id string, w Words) { s.Apply(Batch{Put: []Object{{Life: Life{Key: Key{Device, id}}, Words: w}}}) }
	put("/d/usb", Words{"ATTR{idVendor}": {"0403"}, "ATTR{serial}": nil})
	put("/d/usb/if0", Words{"ATTR{idVendor}": {"near"}})
	put("/d/usb/if0/tty", Words{"DRIVER": nil, "SUBSYSTEM": {"tty"}})
	put("/d/usb/if1/tty", Words{}) // /d/usb/if1 itself is not there
	s.Apply(Batch{Put: []Object{{Life: Life{Key: LinkKey(1)}, Words: Words{"ATTRS{idVendor}": {"link's"}}}}})
	for _, c := range []struct {
		key   Key
		word  string
		want  string
		known bool
	}{
		{Key{Device, "/d/usb/if0/tty"}, "SUBSYSTEM", "tty", true},
		{Key{Device, "/d/usb/if0/tty"}, "DRIVER", "", false},
		{Key{Device, "/d/usb/if0/tty"}, "KERNEL", "", true},
		{Key{Device, "/d/usb/if0/tty"}, "ATTRS{idVendor}", "near", true},
		{Key{Device, "/d/usb/if0"}, "ATTRS{idVendor}", "near", true},
		{Key{Device, "/d/usb/if1/tty"}, "ATTRS{idVendor}", "0403", true},
		{Key{Device, "/d/usb/if1/tty"}, "ATTRS{serial}", "", false},
		{Key{Device, "/d/usb/if1/tty"}, "ATTRS{other}", "", true},
		{LinkKey(1), "ATTRS{idVendor}", "link's", true},
		{LinkKey(1), "ATTRS{serial}", "", true},
	} {
		values, known := s.Values(s.Get(c.key), c.word)
		if strings.Join(values, " ") != c.want || known != c.known {
			t.Errorf("%v %s: %q known %v, want %q known %v", c.key, c.word, values, known, c.want, c.known)
		}
	}
}
