package engine

import (
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/object"
)

// change makes something so in the world, and returns how a source would tell it.
func (s *story) change(f []string) object.Batch {
	switch f[0] {
	case "gone":
		key := object.Key{Kind: object.Kind(f[1]), ID: f[2]}
		if s.objects[key] == nil {
			s.t.Fatalf("%q: it is not there", f)
		}
		delete(s.objects, key)
		return object.Batch{Gone: []object.Key{key}}
	case "move":
		for _, k := range s.keys(object.Device) {
			if rest, ok := strings.CutPrefix(k.ID, f[1]); ok && (rest == "" || rest[0] == '/') {
				o := *s.objects[k]
				delete(s.objects, k)
				o.Life.Key.ID = f[2] + rest
				s.put(&o, nil)
			}
		}
		return object.Batch{Moves: []object.Move{{From: f[1], To: f[2]}}}
	}
	key := object.Key{Kind: object.Kind(f[0]), ID: "system"}
	words := f[1:]
	if key.Kind != object.Clock {
		key.ID, words = f[1], f[2:]
	}
	o := object.Object{Life: object.Life{Key: key}, Words: object.Words{}}
	if was := s.objects[key]; was != nil {
		o = *was
	} else {
		s.lives++
		o.Life.Incarnation = s.lives
		switch key.Kind {
		case object.Link:
			o.Life.Incarnation, _ = strconv.ParseUint(key.ID, 10, 64)
			words = append([]string{"index=" + key.ID, "type=ether", "physical=true", "wireless=false", "foreign=false", "up=true"}, words...)
		case object.Mount:
			words = append([]string{"target=" + key.ID}, words...)
		}
	}
	o.Cause = map[object.Kind]string{object.Link: "rtnetlink newlink", object.Device: "uevent add", object.Mount: "mountinfo", object.Clock: "clock"}[key.Kind]
	return object.Batch{Put: []object.Object{*s.put(&o, words)}}
}

// put sets words of an object, life, flaps and cause among them.
func (s *story) put(o *object.Object, words []string) *object.Object {
	running := o.Words.Get("running") == "true"
	all := object.Words{}
	for k, v := range o.Words {
		all[k] = v
	}
	o.Words = all
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		switch {
		case !ok:
			s.t.Fatalf("%q is no word=value", w)
		case name == "life":
			o.Life.Incarnation, _ = strconv.ParseUint(value, 10, 64)
		case name == "flaps":
			n, _ := strconv.Atoi(value)
			o.Life.Flaps = uint32(n)
		case name == "cause":
			o.Cause = value
		case value == "-":
			delete(all, name)
		case value == "?":
			all[name] = nil
		default:
			all[name] = strings.Split(value, ",")
		}
	}
	if o.Life.Key.Kind == object.Device {
		id := o.Life.Key.ID
		all["DEVPATH"], all["KERNEL"] = []string{id}, []string{id[strings.LastIndexByte(id, '/')+1:]}
	}
	if running && all.Get("running") == "false" {
		o.Life.Flaps++
	}
	kept := *o
	s.objects[o.Life.Key] = &kept
	return o
}

func (s *story) keys(kind object.Kind) []object.Key {
	var out []object.Key
	for k := range s.objects {
		if k.Kind == kind {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, object.Key.Compare)
	return out
}

var sourceNames = []string{"uevent", "link", "mount", "clock"}

// told is what the source of a batch's objects puts in the inbox.
func (s *story) told(b object.Batch) []Input {
	kind := object.Device
	if len(b.Put) > 0 {
		kind = b.Put[0].Life.Key.Kind
	} else if len(b.Gone) > 0 {
		kind = b.Gone[0].Kind
	}
	return []Input{{Report: &object.Report{Status: s.core.Sources[sourceOf[kind]], Batch: &b}}}
}

func (s *story) source(f []string) []Input {
	var in []Input
	for _, name := range sourceNames {
		if f[1] != name && f[1] != "all" {
			continue
		}
		r := object.Report{Status: object.SourceStatus{Name: name, State: object.Synced}}
		switch f[0] {
		case "resync":
			r.Status.State = object.Resyncing
		case "source":
			r.Status.State = object.SourceState(f[2])
		default:
			b := &object.Batch{Full: true}
			for kind, source := range sourceOf {
				if source != name {
					continue
				}
				b.Kinds = []object.Kind{kind}
				for _, k := range s.keys(kind) {
					o := *s.objects[k]
					o.Cause = "list"
					b.Put = append(b.Put, o)
				}
			}
			r.Batch = b
		}
		in = append(in, Input{Report: &r})
	}
	if in == nil {
		s.t.Fatalf("%q: there is no such source", f)
	}
	return in
}
