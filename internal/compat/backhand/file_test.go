package backhand

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSemaphoreCounts: the exit status says whether it has left 0, or is there.
func TestSemaphoreCounts(t *testing.T) {
	dir := t.TempDir()
	for i, step := range []struct {
		what   string
		status int
		count  string
	}{
		{"+", 0, "1"}, {"+", 1, "2"}, {"+", 1, "3"}, {"-", 1, "2"}, {"-", 1, "1"}, {"-", 0, "0"},
		{"-", 0, "0"}, {"+", 0, "1"}, {"-", 0, "0"},
	} {
		if got := run(t, dir, "semaphore", "f", step.what); got != step.status {
			t.Errorf("step %d: %s: %d, want %d", i, step.what, got, step.status)
		}
		holds(t, filepath.Join(dir, "f"), step.count)
	}
	if got := run(t, dir, "semaphore", "other", "-"); got != 0 {
		t.Errorf("- of a new one: %d", got)
	}
	holds(t, filepath.Join(dir, "other"), "0")
	info, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// TestSemaphoreRefuses: what is no count is left as it is.
func TestSemaphoreRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"1\n", "x", "-1", " 1", "1234567890", "999999999", "1\x00"} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := run(t, dir, "semaphore", "f", "+"); got != broken {
			t.Errorf("%q: %d", text, got)
		}
		holds(t, path, text)
	}
	for _, args := range [][]string{{}, {"f"}, {"f", "x"}, {"f", "++"}, {"f", ""}, {"f", "+", "+"}} {
		if got := run(t, dir, "semaphore", args...); got != 22 {
			t.Errorf("%q: %d", args, got)
		}
	}
	for _, file := range []string{"nosuch/f", ".", ""} {
		if got := run(t, dir, "semaphore", file, "+"); got != broken {
			t.Errorf("%q: %d", file, got)
		}
	}
	os.WriteFile(filepath.Join(dir, "f"), []byte("007"), 0o600)
	if got := run(t, dir, "semaphore", "f", "+"); got != unchanged {
		t.Errorf("007: %d", got)
	}
	holds(t, filepath.Join(dir, "f"), "8")
}

// TestStateTellsWhetherItChanged: the whole content counts, and what is not
// there is empty.
func TestStateTellsWhetherItChanged(t *testing.T) {
	dir := t.TempDir()
	for i, step := range []struct {
		value  string
		status int
	}{{"", 1}, {"started", 0}, {"started", 1}, {"start", 0}, {"started", 0}, {"a\nb", 0}, {"", 0}, {"", 1}} {
		if got := run(t, dir, "state", "f", step.value); got != step.status {
			t.Errorf("step %d: %q: %d, want %d", i, step.value, got, step.status)
		}
		holds(t, filepath.Join(dir, "f"), step.value)
	}
	for _, args := range [][]string{{}, {"f"}, {"f", "a", "b"}} {
		if got := run(t, dir, "state", args...); got != 22 {
			t.Errorf("%q: %d", args, got)
		}
	}
	if got := run(t, dir, "state", "nosuch/f", "x"); got != broken {
		t.Errorf("no directory: %d", got)
	}
}

// TestFileKeepsItsModeAndItsLink: another is put in its place, and nobody sees
// that.
func TestFileKeepsItsModeAndItsLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "real")
	err := errors.Join(os.WriteFile(path, []byte("old"), 0o644), os.Chmod(path, 0o664), os.Symlink("real", filepath.Join(dir, "link")))
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(path, 12, 34)
	}
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	if got := run(t, dir, "state", "link", "new"); got != changed {
		t.Errorf("%d", got)
	}
	holds(t, path, "new")
	after, err := os.Lstat(path)
	if err != nil || after.Mode() != before.Mode() || owner(after) != owner(before) {
		t.Errorf("%v %v: %v, before %v %v", after.Mode(), owner(after), err, before.Mode(), owner(before))
	}
}

func owner(info os.FileInfo) [2]uint32 {
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}

// TestTwoHundredSemaphoresAtOnce: each is counted, and one is the first; going
// down, one is the last.
func TestTwoHundredSemaphoresAtOnce(t *testing.T) {
	dir := t.TempDir()
	for _, op := range []string{"+", "-"} {
		var first atomic.Int32
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if run(t, dir, "semaphore", "f", op) == changed {
					first.Add(1)
				}
			})
		}
		all.Wait()
		if first.Load() != 1 {
			t.Errorf("%s: %d were told of a change", op, first.Load())
		}
		holds(t, filepath.Join(dir, "f"), map[string]string{"+": "200", "-": "0"}[op])
	}
}

// TestOneOfManyChangesAState: of those that say the same, one has changed it.
func TestOneOfManyChangesAState(t *testing.T) {
	dir := t.TempDir()
	var did atomic.Int32
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			if run(t, dir, "state", "f", "started") == changed {
				did.Add(1)
			}
		})
	}
	all.Wait()
	if did.Load() != 1 {
		t.Errorf("%d have changed it", did.Load())
	}
}

// TestKilledSemaphoreLeavesAFile: wherever it is killed, what is there is a
// count, and nobody waits for the dead.
func TestKilledSemaphoreLeavesAFile(t *testing.T) {
	dir := t.TempDir()
	var done atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 30 {
				cmd := helper(t, dir, "semaphore", "f", "+")
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				time.AfterFunc(time.Duration(rand.IntN(12000))*time.Microsecond, func() { cmd.Process.Kill() })
				cmd.Wait()
				if cmd.ProcessState.ExitCode() >= 0 {
					done.Add(1)
				}
				text, err := os.ReadFile(filepath.Join(dir, "f"))
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Error(err)
				}
				if _, err := parseCount(string(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	text, _ := os.ReadFile(filepath.Join(dir, "f"))
	n, err := parseCount(string(text))
	if err != nil || n < int(done.Load()) || n > 120 {
		t.Errorf("%d have counted, and it is %q (%v)", done.Load(), text, err)
	}
	t.Logf("of 120, %d have come to their end, and %d have counted", done.Load(), n)
	if got := run(t, dir, "semaphore", "f", "+"); got > unchanged {
		t.Errorf("afterwards: %d", got)
	}
	holds(t, filepath.Join(dir, "f"), strconv.Itoa(n+1))
}

// FuzzParseCount: a count is what it was before it was written, and all else is
// refused.
func FuzzParseCount(f *testing.F) {
	for _, s := range []string{"", "0", "1", "999999999", "1000000000", "1\n", "-1", "+1", "007", "1\x00", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseCount(s)
		digitsOnly := strings.Trim(s, "0123456789") == "" && len(s) <= digits
		if (err == nil) != digitsOnly || n < 0 {
			t.Fatalf("%q: %d %v", s, n, err)
		}
		if err == nil && s != "" && strconv.Itoa(n) != strings.TrimLeft(s[:len(s)-1], "0")+s[len(s)-1:] {
			t.Errorf("%q: %d", s, n)
		}
	})
}
