package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNobodyElseMovesAJournalThatIsBeingWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	open := func(before *os.File) (*os.File, error) {
		j := &journalFile{name: name, before: before}
		err := j.open()
		return j.f, err
	}
	first, err := open(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(nil); err == nil || !strings.Contains(err.Error(), "another `hsctl record` is writing "+name) {
		t.Errorf("a second recorder: %v", err)
	}
	if _, err := os.Stat(name + ".1"); err == nil {
		t.Error("the second recorder has moved the first one's file away")
	}
	second, err := open(first)
	if err != nil {
		t.Fatalf("the first recorder goes on: %v", err)
	}
	if _, err := os.Stat(name + ".1"); err != nil {
		t.Error(err)
	}
	first.Close()
	if _, err := open(nil); err == nil {
		t.Error("a second recorder takes the file that the first goes on in")
	}
	second.Close()
	if _, err := open(nil); err != nil {
		t.Errorf("the first recorder has ended: %v", err)
	}
}
