package svlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// complaints collects what a Dir says of its processor.
type complaints struct {
	mu   sync.Mutex
	said []string
}

func (c *complaints) hear(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, err.Error())
}

func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.said)
}

// processing opens a directory that has such a processor and is rotated after
// each line.
func processing(t *testing.T, config string, files map[string]string) (*Dir, string, *complaints) {
	t.Helper()
	path := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o744); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "config"), []byte("s2\n"+config), 0o644); err != nil {
		t.Fatal(err)
	}
	var c complaints
	return opened(t, path, Options{Config: true, Warn: c.hear, Patience: patience}), path, &c
}

// patience is that of the directories here.
const patience = 300 * time.Millisecond

// named returns how many files there are with each of the endings s, t and u.
func named(t *testing.T, path string) string {
	t.Helper()
	names, err := readNames(os.DirFS(path))
	if err != nil {
		t.Fatal(err)
	}
	var ends []byte
	for _, n := range names {
		ends = append(ends, n[labelLen+1])
	}
	return string(ends)
}

// TestFailingProcessorHoldsNobodyUp: the writer goes on, the file stays, it is
// said how often it was tried, and what comes after it is processed.
func TestFailingProcessorHoldsNobodyUp(t *testing.T) {
	d, path, c := processing(t, "!read line; echo seen $line; test $line != bad\n", nil)
	begun := time.Now()
	for _, line := range []string{"good\n", "bad\n", "fine\n"} {
		d.log(t, line, moment)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the writer took %v", took)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "files", texts(t, path), "seen good\n", "bad\n", "seen fine\n", "")
	if got := named(t, path); got != "sus" {
		t.Errorf("the endings are %q", got)
	}
	said := c.all()
	if len(said) != attempts || !strings.Contains(said[0], ".u: processor: exit status 1; time 1 of 5: the file is tried again") ||
		!strings.HasSuffix(said[attempts-1], "time 5 of 5: the file stays as it is") {
		t.Errorf("said %q", said)
	}
}

// TestAFailedFileIsTriedAgainLater, after a pause, and by the next writer.
func TestAFailedFileIsTriedAgainLater(t *testing.T) {
	d, path, c := processing(t, "!test -e ready && cat\n", nil)
	d.log(t, "one\n", moment)
	livetest.Until(t, "it has failed", func() bool { return len(c.all()) == 1 })
	if err := os.WriteFile(filepath.Join(path, "ready"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	livetest.Until(t, "it is done", func() bool { return named(t, path) == "s" })
	os.Remove(filepath.Join(path, "ready"))
	d.log(t, "two\n", moment)
	d.Close()
	if got := named(t, path); got != "su" {
		t.Errorf("the endings are %q", got)
	}
	os.WriteFile(filepath.Join(path, "ready"), nil, 0o644)
	opened(t, path, Options{Config: true}).Close()
	equal(t, "files", texts(t, path), "one\n", "two\n", "")
}

// TestHungProcessorHoldsNobodyUpForLong: rotation waits for it once, and the file
// it is at stays. What is older than enough goes, the newest never.
func TestHungProcessorHoldsNobodyUpForLong(t *testing.T) {
	d, path, _ := processing(t, "n2\n!echo $$ >pid; exec sleep 1000\n", nil)
	begun := time.Now()
	for i := range 5 {
		d.log(t, fmt.Sprintln(i), moment)
	}
	if took := time.Since(begun); took < patience || took > 10*patience {
		t.Errorf("the writer took %v", took)
	}
	equal(t, "files", texts(t, path), "0\n", "4\n", "")
	var pid int
	livetest.Until(t, "it runs", func() bool {
		b, _ := os.ReadFile(filepath.Join(path, "pid"))
		_, err := fmt.Sscan(string(b), &pid)
		return err == nil
	})
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
	d.processor.leave()
	<-d.processor.done
}

// TestSlowProcessorIsWaitedFor rather than that a file goes unseen.
func TestSlowProcessorIsWaitedFor(t *testing.T) {
	d, path, c := processing(t, "n2\n!sleep 0.02; cat >>all\n", nil)
	for i := range 10 {
		d.log(t, fmt.Sprintln(i), moment)
	}
	d.Close()
	if all, err := os.ReadFile(filepath.Join(path, "all")); err != nil || string(all) != "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
		t.Errorf("processed %q, %v; %q", all, err, c.all())
	}
}

// TestReopenLeavesTheProcessorAtWork, and the next begins when it has ended.
func TestReopenLeavesTheProcessorAtWork(t *testing.T) {
	d, path, c := processing(t, "!while test -e config && ! test -e go; do sleep 0.01; done; cat; echo first\n", nil)
	d.log(t, "one\n", moment)
	livetest.Until(t, "it is at work", func() bool { return named(t, path) == "tu" })
	if err := os.WriteFile(filepath.Join(path, "config"), []byte("s2\n!cat; echo second\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Reopen(); err != nil {
		t.Fatal(err)
	}
	d.log(t, "two\n", moment)
	if got := named(t, path); got != "tuu" {
		t.Errorf("the endings are %q", got)
	}
	os.WriteFile(filepath.Join(path, "go"), nil, 0o644)
	d.Close()
	equal(t, "files", texts(t, path), "one\nfirst\n", "two\nsecond\n", "")
	equal(t, "complaints", c.all())
}

// TestWhatADeadWriterLeftIsFinished: at each point where it can have died.
func TestWhatADeadWriterLeftIsFinished(t *testing.T) {
	const name = "@40000000697e9756075bcd15."
	for _, c := range []struct {
		what  string
		files map[string]string
		state string
		runs  bool
	}{
		{"nothing was done", map[string]string{name + "u": "a"}, "run\n", true},
		{"it ran", map[string]string{name + "u": "a", name + "t": "half", "state": "old\n", "newstate": "half"}, "run\n", true},
		{"output accepted", map[string]string{name + "u": "a", name + "s": "A", "state": "old\n", "newstate": "new\n"}, "new\n", false},
		{"state accepted", map[string]string{name + "u": "a", name + "s": "A", "state": "new\n"}, "new\n", false},
		{"a real svlogd, input gone", map[string]string{name + "t": "A", "state": "old\n", "newstate": "new\n"}, "new\n", false},
	} {
		d, path, said := processing(t, "!tr a A; echo run >&5\n", c.files)
		d.Close()
		equal(t, c.what, texts(t, path), "A", "")
		if got := named(t, path); got != "s" {
			t.Errorf("%s: the endings are %q", c.what, got)
		}
		if state, _ := os.ReadFile(filepath.Join(path, "state")); string(state) != c.state {
			t.Errorf("%s: the state is %q, want %q", c.what, state, c.state)
		}
		equal(t, c.what, said.all())
	}
}
