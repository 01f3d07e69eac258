package svlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// names are file names that sort as written.
func name(n int, end string) string {
	return string(label(nil, moment.Add(time.Duration(n)*time.Minute))) + "." + end
}

// laid makes a log directory of files.
func laid(t *testing.T, files map[string]string) string {
	t.Helper()
	path := quick(t)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestFilesAreReadOldestFirst: each once, and nothing else that lies there.
func TestFilesAreReadOldestFirst(t *testing.T) {
	path := laid(t, map[string]string{
		name(3, "u"): "3\n", name(3, "t"): "half\n", name(1, "s"): "1\n", name(2, "s"): "2\n", name(2, "u"): "raw\n",
		"current": "4\n5", "lock": "", "config": "s1\n", "@x": "no\n", name(9, "x"): "no\n", name(9, "s") + "x": "no\n",
	})
	files, err := Files(path)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files", files, name(1, "s"), name(2, "s"), name(3, "u"), "current")
	equal(t, "lines", read(t, path, ReadOptions{Last: -1}), "1", "2", "3", "4", "5")
	for _, empty := range []map[string]string{nil, {"current": ""}, {name(1, "s"): ""}} {
		equal(t, "lines of nothing", read(t, laid(t, empty), ReadOptions{Last: 3}))
	}
	if _, err := OpenReader(filepath.Join(path, "missing"), ReadOptions{Last: 1}); !os.IsNotExist(err) {
		t.Errorf("a directory that is missing: %v", err)
	}
	if _, err := Files(filepath.Join(path, "missing")); !os.IsNotExist(err) {
		t.Errorf("a directory that is missing: %v", err)
	}
}

// TestTheLastLines are counted across files, long lines and large files.
func TestTheLastLines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		var all []string
		files := map[string]string{}
		for f := range 1 + random.IntN(4) {
			var b strings.Builder
			for range random.IntN(8) {
				all = append(all, fmt.Sprintf("%d %s", len(all), strings.Repeat("x", random.IntN(1+random.IntN(100_000)))))
				b.WriteString(all[len(all)-1] + "\n")
			}
			files[name(f, "s")] = b.String()
		}
		if random.IntN(2) > 0 {
			all = append(all, "without end")
			files["current"] = "without end"
		}
		path := laid(t, files)
		for n := range len(all) + 3 {
			got := read(t, path, ReadOptions{Last: n})
			want := all[max(0, len(all)-n):]
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("last %d of %d: %d lines", n, len(all), len(got))
			}
		}
	}
}

// TestLinesSince, in each form of stamp; a line without goes with the one before.
func TestLinesSince(t *testing.T) {
	for _, form := range []Stamp{RFC3339, TAI64N, Human, ISO} {
		at := func(minute int) string {
			return string(form.Append(nil, moment.Add(time.Duration(minute)*time.Minute)))
		}
		path := laid(t, map[string]string{
			name(1, "s"): at(1) + "a\n and more\n" + at(3) + "b\n and more\n",
			"current":    at(2) + "the clock went back\n" + at(4) + "c\n",
		})
		since := ReadOptions{Last: -1, Since: moment.Add(150 * time.Second)}
		equal(t, "lines", read(t, path, since), at(3)+"b", " and more", at(4)+"c")
		since.Last = 2
		equal(t, "of the last two", read(t, path, since), at(4)+"c")
	}
	path := laid(t, map[string]string{name(1, "s"): "old\n", "current": "new\n"})
	hour := time.Now().Add(-time.Hour)
	os.Chtimes(filepath.Join(path, name(1, "s")), hour, hour)
	equal(t, "without stamps", read(t, path, ReadOptions{Last: -1, Since: hour.Add(time.Minute)}), "new")
}

// TestLinesThatWereCut by a rotation are whole again; those that a dead writer
// left are not taken for the beginning of the next.
func TestLinesThatWereCut(t *testing.T) {
	stamp := string(ISO.Append(nil, moment))
	for _, c := range []struct {
		what  string
		files map[string]string
		want  []string
	}{
		{"cut in two", map[string]string{name(1, "s"): "a\nlong ", name(2, "s"): "", "current": "line\n"}, []string{"a", "long line"}},
		{"dead writer", map[string]string{name(1, "u"): "unfin", "current": "new\n"}, []string{"unfin", "new"}},
		{"stamped", map[string]string{name(1, "s"): stamp + "a", "current": stamp + "b\n"}, []string{stamp + "a", stamp + "b"}},
		{"at the end", map[string]string{name(1, "s"): "a", "current": ""}, []string{"a"}},
	} {
		equal(t, c.what, read(t, laid(t, c.files), ReadOptions{Last: -1}), c.want...)
	}
	long := strings.Repeat("x", 3*longest/2)
	equal(t, "too long for one piece", read(t, laid(t, map[string]string{"current": long + "\nb\n"}), ReadOptions{Last: -1}), long[:longest], long[longest:], "b")
}

// follower reads in the background what a directory gets.
type follower struct {
	lines chan string
	end   chan error
	stop  context.CancelFunc
}

func follow(t *testing.T, path string, last int) *follower {
	t.Helper()
	r, err := OpenReader(path, ReadOptions{Last: last, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	f := &follower{make(chan string, 100_000), make(chan error, 1), stop}
	t.Cleanup(stop)
	go func() {
		defer r.Close()
		for {
			line, err := r.Next(ctx)
			if err != nil {
				f.end <- err
				return
			}
			f.lines <- string(line)
		}
	}()
	return f
}

func (f *follower) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-f.lines:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("no line comes")
	}
	return ""
}

// TestFollowAcrossRotations: every line once and in order, however often there
// is a new file meanwhile, with a processor that replaces them, too.
func TestFollowAcrossRotations(t *testing.T) {
	for _, config := range []string{"s300\nn0\n", "s300\nn0\n!cat\n"} {
		path := laid(t, map[string]string{"config": config})
		f := follow(t, path, -1)
		d := opened(t, path, Options{Config: true, LineLen: 100})
		random := rand.New(rand.NewPCG(3, 3))
		const n = 600
		for i := range n {
			d.Put(d.Render([]byte(fmt.Sprintf("%d %s\n", i, strings.Repeat("x", random.IntN(200)))), moment), moment)
			if i%100 == 0 { // so that the reader is sometimes at the end, and sometimes far behind
				time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
			}
		}
		for i := range n {
			if got, want := f.next(t), fmt.Sprint(i, " "); !strings.HasPrefix(got, want) {
				t.Fatalf("%q: line %d is %.20q", config, i, got)
			}
		}
		d.Close()
		f.stop()
		if err := <-f.end; !errors.Is(err, context.Canceled) {
			t.Errorf("ends with %v", err)
		}
	}
}

// TestFollowMeetsWhatPeopleDo: nothing there yet, a line in pieces, truncation.
func TestFollowMeetsWhatPeopleDo(t *testing.T) {
	path := t.TempDir()
	f := follow(t, path, 0)
	d := opened(t, path, Options{})
	d.log(t, "one\ntw", moment)
	if got := f.next(t); got != "one" {
		t.Errorf("first %q", got)
	}
	d.log(t, "o\n", moment)
	if got := f.next(t); got != "two" {
		t.Errorf("then %q", got)
	}
	os.Truncate(filepath.Join(path, "current"), 0)
	d.log(t, "new\n", moment)
	if got := f.next(t); got != "new" {
		t.Errorf("after it was truncated %q", got)
	}
	os.Remove(filepath.Join(path, "current"))
	d.log(t, "again\n", moment)
	if got := f.next(t); got != "again" {
		t.Errorf("after it was deleted %q", got)
	}
	late := follow(t, path, 1)
	if got := late.next(t); got != "again" {
		t.Errorf("the last one is %q", got)
	}
	d.log(t, "both\n", moment)
	if a, b := f.next(t), late.next(t); a != "both" || b != "both" {
		t.Errorf("both read %q and %q", a, b)
	}
}

// TestAReaderSeesAllWhileItIsRotated: what is there when it begins, from the
// first line to some line near the end, without a gap.
func TestAReaderSeesAllWhileItIsRotated(t *testing.T) {
	path := quick(t)
	d := opened(t, path, Options{MaxSize: 200, LineLen: 100})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3000 {
			d.Put(d.Render([]byte(fmt.Sprintln(i)), moment), moment)
		}
	}()
	livetest.Until(t, "there is a file", func() bool { _, err := os.Stat(filepath.Join(path, "current")); return err == nil })
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		for i, line := range read(t, path, ReadOptions{Last: -1}) {
			if line != fmt.Sprint(i) {
				t.Fatalf("line %d is %q", i, line)
			}
		}
	}
}
