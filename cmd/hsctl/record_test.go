package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// Whoever mistypes a name loses nothing: only an earlier journal makes room.
func TestOnlyAJournalMakesRoomForAJournal(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	journal := journalMark + `1}`
	for name, text := range map[string]string{"text": "precious", "journal": journal, "journal.1": journal, "empty": "", "other": journal, "other.1": "precious"} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(path("dir"), 0o755)
	os.Symlink(path("journal"), path("link"))
	os.Symlink(path("nowhere"), path("dangling"))
	unix.Mkfifo(path("fifo"), 0o600)
	for name, why := range map[string]string{
		"text": "text is there and is no journal", "dir": "dir is no regular file", "link": "link is no regular file", "dangling": "dangling is no regular file",
		"fifo": "fifo is no regular file", "other": "other.1 is there and is no journal", "journal": "", "empty": "", "new": "",
	} {
		before, _ := os.Lstat(path(name))
		j := &journalFile{name: path(name)}
		err := j.open()
		switch {
		case why == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case err == nil || !strings.HasSuffix(err.Error(), why):
			t.Errorf("%s: %v, should be: %s", name, err, why)
		default:
			if after, err := os.Lstat(path(name)); err != nil || !os.SameFile(before, after) {
				t.Errorf("%s was moved away", name)
			}
		}
	}
}
