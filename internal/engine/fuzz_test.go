package engine

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// fuzzConfig has what a record can speak of: a need, a gate, a rule, an instance.
func fuzzConfig(f *testing.F) *config.Config {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	conf, problems := config.Load(config.Input{
		Settings: config.DefaultSettings(), Strict: true,
		Rules: []config.Source{{Name: "rules.d", FS: fstest.MapFS{
			"a.toml": file("[[rule]]\nname = 'r'\nobject = 'link'\nmatch = { running = true }\nrequire = ['t@{name}']\nlinger = '5s'"),
		}}},
		Services: []config.Source{{Name: "services", FS: fstest.MapFS{
			"a.toml":  file("exec_start = ['a']\nneeds = ['n']\nstart_at_boot = true"),
			"n.toml":  file("type = 'oneshot'\nexec_start = ['n']\nexec_stop = ['m']\nexec_stop_post = ['p']"),
			"t@.toml": file("exec_start = ['t']\nexec_start_pre = ['u']\ngate = [{ object = 'mount', match = { target = '/x' } }]"),
		}}},
	})
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	return conf
}

func fuzzNow(n time.Duration) Now {
	return Now{Mono: time.Hour + n*time.Second, Wall: time.Unix(1_900_000_000, 0).UTC().Add(n * time.Second)}
}

func fuzzOptions() Options {
	return Options{Version: "fuzz", BootID: "boot", Sources: []string{"link", "mount"}, Slots: 2}
}

// fuzzLink is the report of a source that has told all: one link.
func fuzzLink(running bool) *object.Report {
	return &object.Report{Status: object.SourceStatus{Name: "link", State: object.Synced}, Batch: &object.Batch{
		Kinds: []object.Kind{object.Link}, Full: true,
		Put: []object.Object{{Life: object.Life{Key: object.LinkKey(3), Incarnation: 3},
			Words: object.Words{"name": {"eth0"}, "running": object.Bool(running)}}},
	}}
}

// fuzzDays are what a core is given in these tests, Step by Step.
func fuzzDays() [][]Input {
	mounts := &object.Report{Status: object.SourceStatus{Name: "mount", State: object.Synced}, Batch: &object.Batch{Kinds: []object.Kind{object.Mount}, Full: true}}
	process := func(name string, e service.Event) Input {
		return Input{Process: &ProcessEvent{Service: name, Event: e}}
	}
	return [][]Input{
		{{Report: fuzzLink(true)}, {Report: mounts}},
		{process("n", service.Event{Kind: service.Spawned, Attempt: 1, Pid: 7, Started: 70})},
		{process("n", service.Event{Kind: service.Exited, Attempt: 1})},
		{process("n", service.Event{Kind: service.Empty, Attempt: 1}), process("a", service.Event{Kind: service.Spawned, Attempt: 1, Pid: 8, Started: 80})},
		{{Call: &Call{ID: 1, Verb: VerbHold, Services: []string{"t@x"}, Timeout: time.Minute, Peer: Peer{Client: Client{Pid: 5, Started: 50}}}},
			{Call: &Call{ID: 2, Verb: VerbStop, Services: []string{"a"}}}, {Call: &Call{ID: 3, Verb: VerbWait, Services: []string{"n"}, For: "down", Timeout: -1}}},
		{process("a", service.Event{Kind: service.Exited, Attempt: 1, Exit: service.Exit{Signal: "TERM", Number: 15}, Left: 1}), {Gone: &Client{Pid: 5, Started: 50}}},
		{{Report: fuzzLink(false)}, {Hangup: 1}},
		{},
	}
}

// damaged is a JSON text in which the at-th value is another. A fuzzer that only
// changes bytes rarely gets past the syntax.
func damaged(text []byte, at uint16, with string) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var all any
	if at == 0 || d.Decode(&all) != nil {
		return text
	}
	var other any = with
	if json.Valid([]byte(with)) {
		other = json.RawMessage(with)
	}
	left := int(at)
	var walk func(v any) any
	walk = func(v any) any {
		if left--; left == 0 {
			return other
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				v[key] = walk(v[key])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		}
		return v
	}
	b, err := json.Marshal(walk(all))
	if err != nil {
		return text
	}
	return b
}

// FuzzJournal: whatever a journal says, replaying it ends in an error or in
// decisions, and both times in the same.
func FuzzJournal(f *testing.F) {
	c := New(fuzzOptions(), fuzzConfig(f), fuzzNow(0))
	var journal []byte
	take := func(effects []Effect, _ time.Duration) {
		for _, e := range effects {
			if e.Kind == EffectReply && e.Reply.ID == journalID {
				journal = append(journal, e.Reply.Value.(JournalLine)...)
			}
		}
	}
	days := fuzzDays()
	for i, in := range days {
		if i == 0 || i == 4 {
			journal = nil
			take(c.Step(fuzzNow(time.Duration(i)), []Input{{Hangup: journalID}, {Call: &Call{ID: journalID, Verb: VerbRecord}}}))
		}
		take(c.Step(fuzzNow(time.Duration(10*i)), in))
	}
	f.Add(journal, byte(0), uint16(0), "")
	for i, with := range []string{"null", "{}", "[null]", "-1", "9223372036854775807", "stuck", `""`} {
		f.Add(journal, byte(i), uint16(20*i), with)
	}
	f.Fuzz(func(t *testing.T, journal []byte, line byte, at uint16, with string) {
		lines := bytes.SplitAfter(journal, []byte("\n"))
		if i := int(line); i < len(lines) {
			lines[i] = append(damaged(lines[i], at, with), '\n')
		}
		journal = bytes.Join(lines, nil)
		if one, other := fuzzReplay(journal), fuzzReplay(journal); !slices.Equal(one, other) {
			t.Errorf("replayed twice:\n%s\n\n%s", strings.Join(one, "\n"), strings.Join(other, "\n"))
		}
	})
}

// rank is the order of effects: what the world can see has been written down
// before, and nobody is answered before it is on its way.
func rank(e Effect) int {
	switch e.Kind {
	case EffectSave, EffectGlobal:
		return 0
	case EffectReply:
		return 2
	}
	return 1
}

func fuzzReplay(journal []byte) (told []string) {
	p, err := NewPlayer(bytes.NewReader(journal))
	if err != nil {
		return []string{err.Error()}
	}
	conf, err := p.Config()
	if err != nil {
		return []string{err.Error()}
	}
	c, err := p.Core(conf)
	if err != nil {
		return []string{err.Error()}
	}
	for {
		e, in, err := p.Next()
		if err != nil {
			if err != io.EOF {
				told = append(told, err.Error())
			}
			return append(told, string(c.Snapshot()))
		}
		effects, err := p.Step(c, e.Now, in)
		if err != nil {
			return append(told, err.Error())
		}
		for i := range effects {
			told = append(told, effects[i].String())
		}
	}
}

// FuzzRestore: whatever a damaged record says, it costs what was in it: the core
// lives, and the other service goes on as it was.
func FuzzRestore(f *testing.F) {
	conf := fuzzConfig(f)
	c := New(fuzzOptions(), conf, fuzzNow(0))
	disk := map[string][]byte{}
	var global []byte
	for i, in := range fuzzDays() {
		effects, _ := c.Step(fuzzNow(time.Duration(10*i)), in)
		for _, e := range effects {
			switch e.Kind {
			case EffectSave:
				disk[e.Service] = e.Record
				f.Add(e.Record, global, byte(i), uint16(0), "")
				f.Add(e.Record, global, byte(i), uint16(10+13*i), []string{"null", "[null]", "{}", "-9223372036854775808", "sweeping", "1e9"}[i%6])
			case EffectGlobal:
				global = e.Record
			}
		}
	}
	other, attempt := disk["n"], c.Units["n"].Machine.Attempt
	f.Fuzz(func(t *testing.T, record, global []byte, alive byte, at uint16, with string) {
		record, global = damaged(record, at, with), damaged(global, at, with)
		records := map[string][]byte{"a": record, "t@x": record, "n": other}
		live := map[string]Live{}
		for i, name := range []string{"a", "t@x"} {
			if alive>>i&1 != 0 {
				live[name] = Live{Attempt: int64(alive >> 4), Command: service.Command(alive >> 2 & 3), Pid: int(alive >> 3 & 1 * 40), Started: 9}
			}
		}
		c := New(fuzzOptions(), conf, fuzzNow(0))
		c.Restore(records, global, live)
		whole := CheckRecords(records, global) == nil
		if n := c.Units["n"]; n.Machine.Attempt != attempt || len(n.History) == 0 {
			t.Errorf("n lost its own: %s", n.record())
		}
		for i, in := range fuzzDays() {
			effects, wake := c.Step(fuzzNow(time.Duration(10*i)), in)
			if !slices.IsSortedFunc(effects, func(a, b Effect) int { return rank(a) - rank(b) }) {
				t.Errorf("step %d: records, orders and answers are not in this order: %v", i, effects)
			}
			for _, e := range effects {
				if whole && e.Kind == EffectLog && strings.Contains(e.Text, "is damaged") && !strings.Contains(e.Text, "it is of") {
					t.Errorf("CheckRecords found nothing, and then: %s", e.Text)
				}
			}
			if wake > 0 && wake <= fuzzNow(time.Duration(10*i)).Mono-time.Hour {
				t.Errorf("step %d: to be woken at %v, long ago", i, wake)
			}
		}
		again := New(fuzzOptions(), conf, fuzzNow(0))
		again.Restore(map[string][]byte{"a": c.Units["a"].record()}, c.globalRecord(), nil)
	})
}
