package svlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// small mounts a disk of so many KiB and returns a directory on it.
func small(t *testing.T, kib int) string {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("no small disk here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	return filepath.Join(path, "log")
}

// fill takes all that is left of the disk, and returns what gives it back.
func fill(t *testing.T, log string) (free func()) {
	t.Helper()
	path := filepath.Join(filepath.Dir(log), "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// TestFullDisk: the oldest rotated files go first, down to those that must stay;
// then lines are dropped, and told of when there is room again. What is in the
// directory is whole lines at all times.
func TestFullDisk(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		path := small(t, 256)
		d := opened(t, path, Options{MaxSize: 16 << 10, MinKeep: 2})
		written := 0
		line := func() string {
			written++
			return fmt.Sprintf("%06d %s\n", written, strings.Repeat("x", 992))
		}
		for range 60 { // four files
			d.log(t, line(), moment)
		}
		free := fill(t, path)
		for d.Lost() == 0 {
			if written > 200 {
				t.Fatal("the disk is never full")
			}
			err := d.Write(d.Render([]byte(line()+line()+line()), moment))
			if err != nil && !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
		}
		if n := len(texts(t, path)) - 1; n != 2 {
			t.Errorf("%d rotated files, 2 must stay", n)
		}
		d.Write(d.Render([]byte(line()+"an open "), moment))
		d.Write(d.Render([]byte("line\n"+line()), moment))
		lost := d.Lost()
		before := read(t, path, ReadOptions{Last: -1})
		free()
		d.log(t, line(), moment)
		after := read(t, path, ReadOptions{Last: -1})
		if d.Lost() != 0 || len(after) != len(before)+2 {
			t.Fatalf("then %d are lost, and the lines are %q", d.Lost(), after[len(before):])
		}
		if got, want := after[len(before)], fmt.Sprintf("%d lines dropped: disk full", lost); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		// Of the numbered lines in sight none is missing but those.
		first, last := number2(t, before[0]), number2(t, before[len(before)-1])
		if first == 1 || len(before) != last-first+1 {
			t.Errorf("%d lines from %d to %d", len(before), first, last)
		}
		if got, want := number2(t, after[len(after)-1]), last+lost; got != want { // one of the lost has no number
			t.Errorf("after %d, %d lost, comes %d", last, lost, got)
		}
	})
}

func number2(t *testing.T, line string) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(line, "%06d x", &n); err != nil || len(line) != 999 {
		t.Fatalf("not a whole line: %q", line)
	}
	return n
}

// TestFullDiskInALine: one that was begun is ended before the count, and its rest
// does not appear.
func TestFullDiskInALine(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		path := small(t, 64)
		d := opened(t, path, Options{})
		d.log(t, strings.Repeat("y", 4095)+"\n", moment) // a page is full
		d.log(t, strings.Repeat("z", 4094)+" begun", moment)
		free := fill(t, path)
		err := d.Write(d.Render([]byte(strings.Repeat("w", 4096)), moment))
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		d.Write(d.Render([]byte(" its end"), moment))
		free()
		d.log(t, " at last\nnext\n", moment)
		got := read(t, path, ReadOptions{Last: -1})[1:]
		got[0] = strings.TrimLeft(got[0], "z")
		equal(t, "lines", got, " begun", "1 line dropped: disk full", "next")
	})
}

// TestPatienceWithAFullDisk: Write waits for room, but not longer than it may,
// and only once.
func TestPatienceWithAFullDisk(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		path := small(t, 64)
		var heard []string
		d := opened(t, path, Options{Patience: patience, Warn: func(err error) { heard = append(heard, err.Error()) }})
		page := strings.Repeat("x", 4095) + "\n"
		free := fill(t, path)
		for i, waits := range []bool{true, false} {
			begun := time.Now()
			d.Put(d.Render([]byte(page), moment), moment)
			if took := time.Since(begun); (took >= patience) != waits || took > 10*patience {
				t.Errorf("write %d took %v", i, took)
			}
		}
		if len(heard) != 1 || !regexp.MustCompile(`^log directory /.*: lines are dropped: .*no space left`).MatchString(heard[0]) {
			t.Errorf("said %q", heard)
		}
		free()
		d.Put(d.Render(nil, moment), moment)
		free = fill(t, path)
		soon := time.AfterFunc(50*time.Millisecond, free)
		defer soon.Stop()
		d.Put(d.Render([]byte(page), moment), moment)
		equal(t, "lines", read(t, path, ReadOptions{Last: -1}), "2 lines dropped: disk full", page[:4095])
	})
}

// TestCloseTellsOfWhatWasDropped, for there may be nothing more to log.
func TestCloseTellsOfWhatWasDropped(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		path := small(t, 64)
		d := opened(t, path, Options{})
		free := fill(t, path)
		d.Write(d.Render([]byte("one\ntwo\nthree"), moment))
		free()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		equal(t, "files", slices.DeleteFunc(texts(t, path), func(s string) bool { return s == "" }), "3 lines dropped: disk full\n")
	})
}
