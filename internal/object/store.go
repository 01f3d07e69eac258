package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Store holds every object that exists now. Its zero value is empty and ready.
type Store struct {
	byKey  map[Key]*Object
	sorted map[Kind][]*Object // what All answered since the last change of its kind
}

// Change is one difference that a batch made. Before is nil for what appeared
// and After for what went. A key that was taken over by a new incarnation gives
// one change with both. From is the key that the object had before a move.
type Change struct {
	Key           Key
	From          Key
	Before, After *Object
}

// Get returns the object with that key, or nil.
func (s *Store) Get(k Key) *Object { return s.byKey[k] }

// Len is the number of objects.
func (s *Store) Len() int { return len(s.byKey) }

// All lists the objects of a kind in the order of their keys; of every kind
// when kind is empty. The objects are the store's own: read only.
func (s *Store) All(kind Kind) []*Object {
	if known, ok := s.sorted[kind]; ok {
		return known
	}
	var out []*Object
	if kind == "" {
		out = make([]*Object, 0, len(s.byKey))
	}
	for k, o := range s.byKey {
		if kind == "" || k.Kind == kind {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *Object) int { return a.Life.Key.Compare(b.Life.Key) })
	if kind != "" {
		if s.sorted == nil {
			s.sorted = make(map[Kind][]*Object)
		}
		out = slices.Clip(out)
		s.sorted[kind] = out
	}
	return out
}

// Apply takes a batch in and returns what changed, in the order of the batch;
// removals that a full batch implies come last, in key order. Objects that a
// batch repeats unchanged give no change.
func (s *Store) Apply(b Batch) []Change {
	if s.byKey == nil {
		s.byKey = make(map[Key]*Object)
	}
	var changes []Change
	for _, m := range b.Moves {
		changes = append(changes, s.move(m)...)
	}
	for i := range b.Put {
		o := b.Put[i]
		key := o.Life.Key
		before := s.byKey[key]
		if before != nil && before.Life == o.Life && before.Words.Equal(o.Words) {
			continue // told again, and nothing new: keep the first cause
		}
		s.set(key, &o)
		changes = append(changes, Change{Key: key, Before: before, After: &o})
	}
	for _, k := range b.Gone {
		changes = s.remove(k, changes)
	}
	if b.Full {
		listed := make(map[Key]bool, len(b.Put))
		for i := range b.Put {
			listed[b.Put[i].Life.Key] = true
		}
		for _, o := range s.All("") {
			if k := o.Life.Key; slices.Contains(b.Kinds, k.Kind) && !listed[k] {
				changes = s.remove(k, changes)
			}
		}
	}
	return changes
}

// set puts an object, or takes it away.
func (s *Store) set(k Key, o *Object) {
	delete(s.sorted, k.Kind)
	if o == nil {
		delete(s.byKey, k)
	} else {
		s.byKey[k] = o
	}
}

func (s *Store) remove(k Key, changes []Change) []Change {
	before := s.byKey[k]
	if before == nil {
		return changes // gone already: the other socket may have told it
	}
	s.set(k, nil)
	return append(changes, Change{Key: k, Before: before})
}

// move gives a device and all beneath it their new devpaths.
func (s *Store) move(m Move) []Change {
	var changes []Change
	for _, o := range s.All(Device) {
		from := o.Life.Key
		rest, ok := strings.CutPrefix(from.ID, m.From)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		moved := *o
		moved.Life.Key.ID = m.To + rest
		moved.Words = moved.Words.with("DEVPATH", moved.Life.Key.ID)
		moved.Cause = "uevent move"
		s.set(from, nil)
		s.set(moved.Life.Key, &moved)
		changes = append(changes, Change{Key: moved.Life.Key, From: from, Before: o, After: &moved})
	}
	return changes
}

func (w Words) with(name, value string) Words {
	out := make(Words, len(w)+1)
	for n, v := range w {
		out[n] = v
	}
	out[name] = []string{value}
	if name == "DEVPATH" {
		out["KERNEL"] = []string{value[strings.LastIndexByte(value, '/')+1:]}
	}
	return out
}

// Values returns a word of an object. ATTRS{x} is ATTR{x} of the nearest
// ancestor, or the device itself, that has it; of links the source says what it
// is, since the ancestors are another source's. ok is false for unknown.
func (s *Store) Values(o *Object, word string) (values []string, ok bool) {
	v, present := o.Words[word]
	if attr, isAttrs := strings.CutPrefix(word, "ATTRS{"); isAttrs && !present {
		return s.inherited(o, "ATTR{"+attr)
	}
	return v, !present || v != nil
}

func (s *Store) inherited(o *Object, word string) ([]string, bool) {
	for path := o.Life.Key.ID; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
		if at := s.byKey[Key{Device, path}]; at != nil {
			if v, present := at.Words[word]; present {
				return v, v != nil
			}
		}
		if !strings.Contains(path, "/") {
			break
		}
	}
	return nil, true
}

// MarshalJSON writes the objects as a list in key order.
func (s *Store) MarshalJSON() ([]byte, error) { return json.Marshal(s.All("")) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Store) UnmarshalJSON(b []byte) error {
	var all []*Object
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	s.byKey, s.sorted = make(map[Key]*Object, len(all)), nil
	for _, o := range all {
		if o == nil || s.byKey[o.Life.Key] != nil {
			return errors.New("object: a list of objects names nothing, or one twice")
		}
		s.byKey[o.Life.Key] = o
	}
	return nil
}
