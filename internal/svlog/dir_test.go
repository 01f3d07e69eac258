package svlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quick is a directory where a sync costs nothing, if there is such a place.
func quick(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("/dev/shm", "svlog")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(path) })
	return path
}

// opened is a directory without stamps whose complaints fail the test.
func opened(t *testing.T, path string, o Options) *Dir {
	t.Helper()
	if o.Warn == nil {
		o.Warn = func(err error) { t.Error(err) }
	}
	o.Stamp, o.Make = None, true
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.release() })
	return d
}

// log writes text, and rotates where it is due.
func (d *Dir) log(t *testing.T, text string, now time.Time) {
	t.Helper()
	if err := d.Write(d.Render([]byte(text), now)); err != nil {
		t.Fatal(err)
	}
	if err := d.Turn(now); err != nil {
		t.Fatal(err)
	}
}

// read returns all lines that a Reader finds.
func read(t *testing.T, path string, o ReadOptions) []string {
	t.Helper()
	r, err := OpenReader(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := []string{}
	for {
		line, err := r.Next(t.Context())
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
}

// texts returns what is in each file, the oldest first.
func texts(t *testing.T, path string) []string {
	t.Helper()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = string(b)
	}
	return files
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestLinesGetStampsWhereTheyBegin, however they come in pieces.
func TestLinesGetStampsWhereTheyBegin(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"on", "", "e\ntwo\n\nth", "ree"} {
		d.log(t, piece, moment)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	const stamp = "2026-01-31T23:59:08.123456Z "
	equal(t, "files", texts(t, path), stamp+"one\n"+stamp+"two\n"+stamp+"\n"+stamp+"three")
}

// TestALineGoesOnWhereTheLastWriterStopped, without a second stamp.
func TestALineGoesOnWhereTheLastWriterStopped(t *testing.T) {
	path := t.TempDir()
	for _, piece := range []string{"one\nno n", "ewline", " yet\nthree\n"} {
		d, err := Open(path, Options{Resume: true})
		if err != nil {
			t.Fatal(err)
		}
		d.log(t, piece, moment)
		d.release() // as if killed
	}
	const stamp = "2026-01-31T23:59:08.123456Z "
	equal(t, "files", texts(t, path), stamp+"one\n"+stamp+"no newline yet\n"+stamp+"three\n")
}

// TestRewindForgetsWhatADeadWriterHalfWrote, and whether it had begun a line.
func TestRewindForgetsWhatADeadWriterHalfWrote(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path, Options{Stamp: ISO, Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	d.log(t, "one\ntw", moment)
	size := d.Size()
	out := slices.Clone(d.Render([]byte("o\nthree\n"), moment))
	if err := d.Write(out[:3]); err != nil {
		t.Fatal(err)
	}
	d.release()
	if d, err = Open(path, Options{Stamp: ISO, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []int64{size + 1000, size} { // too much is nothing
		if err := d.Rewind(to); err != nil {
			t.Fatal(err)
		}
	}
	if d.Size() != size {
		t.Fatalf("size %d, want %d", d.Size(), size)
	}
	if again := d.Render([]byte("o\nthree\n"), moment); !bytes.Equal(out, again) {
		t.Errorf("rendered again it is %q, and was %q", again, out)
	}
	d.Close()
}

// TestEveryLineIsThereOnce: after lines of random lengths, written in random
// pieces, with restarts, the files hold the last of them, each once, in order.
func TestEveryLineIsThereOnce(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		path := quick(t)
		o := Options{MaxSize: 1 + random.Int64N(3000), LineLen: 1 + random.IntN(300), Keep: random.IntN(6), Resume: true}
		d := opened(t, path, o)
		var want []string
		var input bytes.Buffer
		now := moment
		for i := range 200 {
			line := fmt.Sprintf("%d %s", i, strings.Repeat("x", random.IntN(1+random.IntN(400))))
			want = append(want, line)
			input.WriteString(line + "\n")
			if random.IntN(3) > 0 {
				continue
			}
			now = now.Add(time.Duration(random.IntN(3)-1) * time.Hour) // a bad clock
			d.log(t, string(input.Next(random.IntN(input.Len()+1))), now)
			if random.IntN(10) == 0 {
				d.release()
				d = opened(t, path, o)
			}
		}
		d.log(t, input.String(), now)
		got := read(t, path, ReadOptions{Last: -1})
		if len(got) > len(want) || !slices.Equal(got[1:], want[len(want)-len(got)+1:]) || !strings.HasSuffix(want[len(want)-len(got)], got[0]) {
			t.Fatalf("seed %d, %+v: %d lines:\n%q", seed, o, len(got), got)
		}
		files := texts(t, path)
		switch {
		case o.Keep == 0 && len(got) != len(want):
			t.Errorf("seed %d: %d of %d lines, though all are kept", seed, len(got), len(want))
		case o.Keep > 0 && len(files) != min(o.Keep+1, len(files)):
			t.Errorf("seed %d: %d files, %d are kept", seed, len(files), o.Keep)
		}
		for i, f := range files {
			if i < len(files)-1 && !strings.HasSuffix(f, "\n") && int64(len(f)) < 2*o.MaxSize {
				t.Errorf("seed %d: a file of %d bytes ends in a line", seed, len(f))
			}
		}
	}
}

// TestTheClockGoesBack: the order of the files stays that of writing, and what is
// deleted is the oldest, never what was just rotated.
func TestTheClockGoesBack(t *testing.T) {
	path := t.TempDir()
	d := opened(t, path, Options{MaxSize: 2, Keep: 3, MaxAge: time.Minute})
	for i, at := range []time.Duration{0, time.Hour, -1000 * time.Hour, -1000 * time.Hour, time.Second, -time.Hour} {
		d.log(t, fmt.Sprintln(i), moment.Add(at))
	}
	equal(t, "files", texts(t, path), "3\n", "4\n", "5\n", "")
	d.log(t, "6", moment.Add(-2000*time.Hour))
	if due := d.Due(); due.After(time.Now().Add(time.Hour)) {
		t.Errorf("rotated by age only at %v", due)
	}
}

// TestAFileIsRotatedByAge counted from its first line, also over restarts.
func TestAFileIsRotatedByAge(t *testing.T) {
	path := t.TempDir()
	o := Options{MaxAge: time.Hour, Resume: true}
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { d.release() }()
	now := time.Now().Add(-50 * time.Minute)
	d.log(t, "one\n", now)
	d.release()
	if d, err = Open(path, o); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(d.Due()); left < 9*time.Minute || left > 11*time.Minute {
		t.Errorf("due in %v", left)
	}
	d.log(t, "and a line that goes on ", now.Add(59*time.Minute))
	d.log(t, "after the hour", now.Add(61*time.Minute))
	if n := len(texts(t, path)); n != 1 {
		t.Errorf("rotated in a line: %d files", n)
	}
	d.log(t, "\n", now.Add(62*time.Minute))
	if n := len(texts(t, path)); n != 2 {
		t.Errorf("not rotated: %d files", n)
	}
	if !d.Due().IsZero() {
		t.Error("an empty file gets old")
	}
}

// TestASmallerKeepIsReachedInTime: one more than one a rotation.
func TestASmallerKeepIsReachedInTime(t *testing.T) {
	path := t.TempDir()
	d := opened(t, path, Options{MaxSize: 2})
	for i := range 9 {
		d.log(t, fmt.Sprintln(i), moment)
	}
	d.release()
	d = opened(t, path, Options{MaxSize: 2, Keep: 3})
	for i, want := range []int{8, 7, 6, 5, 4, 3, 3} {
		d.log(t, fmt.Sprintln(i), moment)
		if n := len(texts(t, path)) - 1; n != want {
			t.Errorf("after %d rotations %d files, want %d", i+1, n, want)
		}
	}
}

// TestSomebodyElsesHands: current is deleted, truncated, written to.
func TestSomebodyElsesHands(t *testing.T) {
	path := t.TempDir()
	current := filepath.Join(path, "current")
	d := opened(t, path, Options{})
	d.log(t, "one\n", moment)
	os.Remove(current)
	d.log(t, "two\n", moment)
	equal(t, "deleted", texts(t, path), "two\n")
	os.Truncate(current, 0)
	d.log(t, "three\n", moment)
	equal(t, "truncated", texts(t, path), "three\n")
	f, err := os.OpenFile(current, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("by hand\n")
	f.Close()
	d.log(t, "four\n", moment)
	equal(t, "written to", texts(t, path), "three\nby hand\nfour\n")
}

// TestOpenSaysWhatIsWrong: one line that names the directory.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	path := t.TempDir()
	d := opened(t, path, Options{})
	_, err := Open(path, Options{})
	if !errors.Is(err, unix.EWOULDBLOCK) || !strings.Contains(err.Error(), path) {
		t.Errorf("locked: %v", err)
	}
	d.Close()
	missing := filepath.Join(path, "sub", "log")
	if _, err := Open(missing, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	opened(t, missing, Options{})
	if st, err := os.Stat(missing); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("made: %v %v", st, err)
	}
	for _, target := range []string{"/dev/null", "other"} {
		link := t.TempDir()
		os.Symlink(target, filepath.Join(link, "current"))
		if _, err := Open(link, Options{}); err == nil {
			t.Errorf("current leads to %s, and is opened", target)
		}
	}
}

// TestRenderDoesNotAllocate: for every service and every line, it had better not.
func TestRenderDoesNotAllocate(t *testing.T) {
	d := &Dir{}
	d.Render(input, moment)
	if n := testing.AllocsPerRun(100, func() { d.Render(input, moment) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

var input = []byte(strings.Repeat("a line as services write it, neither long nor short\n", 500))

func BenchmarkRender(b *testing.B) {
	for _, form := range []Stamp{RFC3339, TAI64N, None} {
		b.Run(fmt.Sprint(form), func(b *testing.B) {
			d := &Dir{o: Options{Stamp: form}}
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				d.Render(input, moment)
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	d, err := Open(b.TempDir(), Options{MaxSize: 1 << 20, Keep: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.SetBytes(int64(len(input)))
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		if err := errors.Join(d.Write(d.Render(input, now)), d.Turn(now)); err != nil {
			b.Fatal(err)
		}
	}
}
