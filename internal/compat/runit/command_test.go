package runit

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hotsvc/internal/compat"
)

// TestWordsOfSV: the first letter counts, but of the words that are written out (SV-2).
func TestWordsOfSV(t *testing.T) {
	for word, want := range map[string]command{
		"up": {letters: "u", goal: 'u'}, "uarghh": {letters: "u", goal: 'u'}, "down": {letters: "d", goal: 'd'}, "once": {letters: "o", goal: 'o'},
		"pause": {letters: "p", goal: 'p'}, "cont": {letters: "c", goal: 'c'}, "che": {letters: "c", goal: 'c'}, "hup": {letters: "h", goal: 'h'},
		"alarm": {letters: "a", goal: 'a'}, "interrupt": {letters: "i", goal: 'i'}, "quit": {letters: "q", goal: 'q'}, "1": {letters: "1", goal: '1'},
		"2": {letters: "2", goal: '2'}, "term": {letters: "t", goal: 't'}, "try-": {letters: "t", goal: 't'}, "kill": {letters: "k", goal: 'k'},
		"exit": {letters: "x", goal: 'x'}, "x": {letters: "x", goal: 'x'},
		"start": words["start"], "D": words["force-stop"], "T": words["force-reload"], "Exit": words["force-shutdown"], "X": words["force-shutdown"],
		"status": {show: true}, "s": {show: true}, "sto": {show: true},
	} {
		got, ok := parse(word, false)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); diff != "" || !ok {
			t.Errorf("sv %s: %v (-want +got):\n%s", word, ok, diff)
		}
	}
	for _, word := range []string{"", "r", "resta", "force", "foo", "zap", "-"} {
		if got, ok := parse(word, false); ok {
			t.Errorf("sv %q is %+v, should be wrong usage", word, got)
		}
	}
	if _, ok := parse("sta", true); ok {
		t.Error("an init script takes no shortened status")
	}
}

// TestOptionsOfSV: -w SEC implies -v, also where they stand in one word (SV-1).
func TestOptionsOfSV(t *testing.T) {
	for _, c := range []struct {
		args    []string
		rest    int
		wait    time.Duration
		verbose bool
	}{
		{[]string{"up", "a"}, 2, wait, false},
		{[]string{"-v", "up", "a"}, 2, wait, true},
		{[]string{"-w", "3", "up", "a"}, 2, 3 * time.Second, true},
		{[]string{"-vw3", "up", "a"}, 2, 3 * time.Second, true},
		{[]string{"-w", "3x", "up", "-v"}, 2, 3 * time.Second, true},
		{[]string{"-w", "x", "up"}, 1, wait, true},
		{[]string{"--", "-v"}, 1, wait, false},
	} {
		r := &run{err: &bytes.Buffer{}, wait: wait}
		rest, ok := r.options(c.args)
		if !ok || len(rest) != c.rest || r.wait != c.wait || r.verbose != c.verbose {
			t.Errorf("%q: %v %q, %v, %v", c.args, ok, rest, r.wait, r.verbose)
		}
	}
}

// TestSVWithNothingThere: without a daemon and without directories every answer
// is a line, and the failures are counted (SV-5).
func TestSVWithNothingThere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SVDIR", dir)
	t.Setenv("HOTSVC_SOCKET", dir+"/nobody")
	var out, err bytes.Buffer
	call := &compat.Call{Name: "sv", Args: []string{"up", "a", "b"}, Out: &out, Err: &err}
	if code := sv(call); code != 2 {
		t.Errorf("exit status %d", code)
	}
	want := "fail: a: unable to change to service directory: file does not exist\nfail: b: unable to change to service directory: file does not exist\n"
	if out.String() != want || err.Len() > 0 {
		t.Errorf("%q %q", out.String(), err.String())
	}
}
