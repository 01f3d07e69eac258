package engine

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// journalID is the call of a story's recorder.
const journalID = 1 << 40

// listen has the story's core keep a journal, as `hsctl record` would.
func (s *story) listen() {
	s.journal = nil
	s.step(Input{Call: &Call{ID: journalID, Verb: VerbRecord}})
}

// heard takes what is told to the recorder.
func (s *story) heard(e *Effect) bool {
	if e.Kind != EffectReply || e.Reply.ID != journalID {
		return false
	}
	s.journal = append(s.journal, e.Reply.Value.(JournalLine)...)
	return true
}

// replay runs the journal through another core, which has to decide the same:
// every story is a test of that.
func (s *story) replay() (steps int) {
	s.t.Helper()
	if s.journal == nil {
		return 0
	}
	p, err := NewPlayer(bytes.NewReader(s.journal))
	if err != nil {
		s.t.Fatalf("the journal: %v", err)
	}
	conf, err := p.Config()
	if err != nil {
		s.t.Fatalf("the journal: %v", err)
	}
	c, err := p.Core(conf)
	if err != nil {
		s.t.Fatalf("the journal: %v", err)
	}
	for ; ; steps++ {
		e, in, err := p.Next()
		if err == io.EOF {
			return steps
		}
		if err != nil {
			s.t.Fatalf("the journal: %v", err)
		}
		effects, _ := c.Step(e.Now, in)
		got := []string{}
		for i := range effects {
			got = append(got, effects[i].String())
		}
		if !slices.Equal(got, e.Out) {
			s.t.Fatalf("replayed, step %d decides otherwise:\n%q\nwhere it was\n%q", steps, got, e.Out)
		}
	}
}

// TestJournalEndsAnywhere: a journal whose recorder died in the middle of a line
// replays up to there; one without a beginning does not.
func TestJournalEndsAnywhere(t *testing.T) {
	s := newStory(t, map[string]string{"services/a.toml": "exec_start = ['a']\nstart_at_boot = true"})
	s.start("")
	s.do("full all")
	s.drain()
	whole := s.replay()
	if whole < 2 {
		t.Fatalf("only %d steps", whole)
	}
	s.journal = s.journal[:len(s.journal)-10]
	if cut := s.replay(); cut != whole-1 {
		t.Errorf("%d steps of a cut journal, want %d", cut, whole-1)
	}
	for _, text := range []string{"", "x", "{}", "{\"journal\":99}\n"} {
		if _, err := NewPlayer(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("%q is taken for a journal", text)
		}
	}
}
