package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// recording is a daemon whose journal is kept.
type recording struct {
	core    *engine.Core
	now     engine.Now
	journal bytes.Buffer
}

// rulesIn makes a directory with a service cable@ and these rules.
func rulesIn(t *testing.T, rules string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.d/50-cable.toml": rules, "services/cable@.toml": "exec_start = ['cable']"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newRecording(t *testing.T, dir string) *recording {
	t.Helper()
	conf, problems := layout.Check(dir, nil)
	if conf == nil {
		t.Fatal(problems)
	}
	r := &recording{now: engine.Now{Mono: time.Hour, Wall: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}}
	r.core = engine.New(engine.Options{Version: "1", BootID: "b", Sources: []string{"link"}}, conf, r.now)
	r.after(0, engine.Input{Call: &engine.Call{ID: 1, Verb: engine.VerbRecord}})
	return r
}

// after lets time pass, then gives the core its inputs; processes do as they are told.
func (r *recording) after(d time.Duration, in ...engine.Input) {
	r.now.Mono += d
	r.now.Wall = r.now.Wall.Add(d)
	for in != nil {
		effects, _ := r.core.Step(r.now, in)
		in = nil
		for _, e := range effects {
			var events []service.Event
			switch e.Kind {
			case engine.EffectReply:
				if line, ok := e.Reply.Value.(engine.JournalLine); ok {
					r.journal.Write(line)
				}
			case engine.EffectSpawn:
				events = []service.Event{{Kind: service.Spawned, Pid: 9, Started: 1}}
			case engine.EffectTerm:
				events = []service.Event{{Kind: service.Exited, Exit: service.Exit{Signal: "TERM"}}, {Kind: service.Empty}}
			}
			for _, ev := range events {
				ev.Attempt = e.Attempt
				in = append(in, engine.Input{Process: &engine.ProcessEvent{Service: e.Service, Event: ev}})
			}
		}
	}
}

// veth is the news that the cable of veth0 is in or out.
func veth(running bool, flaps uint32) engine.Input {
	return engine.Input{Report: &object.Report{Status: object.SourceStatus{Name: "link", State: object.Synced},
		Batch: &object.Batch{Kinds: []object.Kind{object.Link}, Full: true, Put: []object.Object{{
			Life: object.Life{Key: object.LinkKey(7), Incarnation: 1, Flaps: flaps}, Cause: "list",
			Words: object.Words{"name": {"veth0"}, "index": {"7"}, "running": object.Bool(running)}}}}}}
}

// file writes the journal and returns its name.
func (r *recording) file(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(name, r.journal.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const cableRule = "[[rule]]\nname = 'cable'\nobject = 'link'\nmatch = { running = true }\nrequire = ['cable@{name}']\ndamping = false\n"

// times matches the moments of a replay.
var times = regexp.MustCompile(`(?m)^\S+ \S+ `)

func TestReplayKnowsThatALingeringServiceWasUp(t *testing.T) {
	r := newRecording(t, rulesIn(t, cableRule+"linger = '2s'\n"))
	r.after(0, veth(true, 0))
	r.after(time.Second, veth(false, 1))
	r.after(400*time.Millisecond, veth(true, 1))
	r.after(time.Second, veth(true, 1))
	journal := r.file(t)
	for rules, want := range map[string]string{
		cableRule + "linger = '2s'\n": "the same services would have been wanted all the time\n",
		cableRule:                     "cable@veth0: would not be wanted, and was\ncable@veth0: would be as it was\n",
		strings.Replace(cableRule, "running = true", "name = 'other'", 1): "cable@veth0: would not be wanted, and was\n",
	} {
		a, out := quiet()
		if err := a.replay(journal, rulesIn(t, rules), false); err != nil {
			t.Fatal(err)
		}
		if got := times.ReplaceAllString(out.String(), ""); got != want && out.String() != want {
			t.Errorf("with\n%s\n%s", rules, out)
		}
	}
}

func TestAServiceThatLingersIsAWantedOne(t *testing.T) {
	r := newRecording(t, rulesIn(t, cableRule+"linger = '2s'\n"))
	r.after(0, veth(true, 0))
	r.after(time.Second, veth(false, 1))
	report := r.core.Report(nil)
	report.Sources = append(report.Sources, object.SourceStatus{Name: "wifi", State: object.Absent})
	var out bytes.Buffer
	printMetrics(&out, &report)
	if !strings.Contains(out.String(), "hotsvc_service_wanted{service=\"cable@veth0\"} 1\n") {
		t.Errorf("during a linger:\n%s", &out)
	}
	if strings.Contains(out.String(), `hotsvc_source_synced{source="wifi"}`) {
		t.Error("a source that is absent counts as one that has not told all")
	}
}

func TestReplayOfACutJournalSaysHowFarItGoes(t *testing.T) {
	r := newRecording(t, rulesIn(t, cableRule))
	r.after(0, veth(true, 0))
	r.after(time.Second, veth(false, 1))
	whole := r.journal.Len()
	r.after(time.Second, veth(true, 1))
	r.journal.Truncate(whole + 10)
	journal := r.file(t)
	lines := strings.Count(r.journal.String(), "\n") + 1
	for _, rules := range []string{"", rulesIn(t, cableRule)} {
		a, out := quiet()
		var said bytes.Buffer
		if a.err = &said; a.replay(journal, rules, false) != nil {
			t.Fatal(out)
		}
		if want := fmt.Sprintf("hsctl: %s is cut off in line %d: it goes up to %s\n", journal, lines, stamp(r.now.Wall.Add(-time.Second))); said.String() != want {
			t.Errorf("%q, want %q", &said, want)
		}
	}
}
