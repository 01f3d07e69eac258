package svlog

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"
)

// page is a sink in memory, and the owner of the one pump that fills it.
type page struct{ text []byte }

func (p *page) OpenSink(string) (Sink, error)         { return p, nil }
func (p *page) LostOutput(string, error)              {}
func (p *page) OutputEnds(*Pump, func() bool) bool    { return true }
func (p *page) Size() int64                           { return int64(len(p.text)) }
func (p *page) Render(raw []byte, _ time.Time) []byte { return raw }
func (p *page) Write(out []byte) error                { p.text = append(p.text, out...); return nil }
func (p *page) Turn(time.Time) error                  { return nil }
func (p *page) Close() error                          { return nil }
func (p *page) Rewind(size int64) error {
	if size < 0 {
		return unix.EINVAL // ftruncate(2)
	}
	p.text = p.text[:min(size, p.Size())]
	return nil
}

// FuzzMark: a mark that says what cannot be costs at most the lines that it
// speaks of: nothing is made up, and nothing is taken from the middle.
func FuzzMark(f *testing.F) {
	f.Add(int64(4), int64(2), int64(3), byte('x'), byte('y'), []byte("old\nab"), []byte("ab\ncd\n"))
	f.Add(int64(4), int64(3), int64(3), byte('\n'), byte('\n'), []byte("old\nab\n"), []byte("cd\n"))
	f.Add(int64(-1), int64(-1<<62), int64(-5), byte(0), byte(1), []byte("old\n"), []byte("ab"))
	f.Add(int64(1<<62), int64(1<<62), int64(1<<40), byte(0), byte(1), []byte("old\n"), []byte("ab"))
	f.Fuzz(func(t *testing.T, size, length, raw int64, last, cell byte, text, waiting []byte) {
		waiting = waiting[:min(len(waiting), 4096)]
		var fifo [2]int
		if err := unix.Pipe2(fifo[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fifo[0])
		if _, err := unix.Write(fifo[1], waiting); err != nil && len(waiting) > 0 {
			t.Fatal(err)
		}
		unix.Close(fifo[1])
		s, err := newScratch()
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		s.mark = &mark{key: keyOf("a"), size: size, length: length, raw: raw, last: last, cell: cell}
		s.mark.open.Store(1)
		log := &page{slices.Clone(text)}
		p := &Pump{all: &Pumps{owner: log}, service: "a", key: keyOf("a"), fd: fifo[0]}
		if p.recover(s) != more || s.mark.open.Load() != 0 {
			t.Error("the mark is still open")
		}
		left := make([]byte, 8192)
		n, _ := unix.Read(fifo[0], left)
		if left = left[:max(n, 0)]; !bytes.HasSuffix(waiting, left) || !bytes.HasPrefix(text, log.text) {
			t.Errorf("%q in the file and %q in the FIFO became %q and %q", text, waiting, log.text, left)
		}
		if len(log.text) < len(text) && len(left) < len(waiting) {
			t.Errorf("cut back to %q, and %q of %q is gone from the FIFO", log.text, waiting[:len(waiting)-len(left)], waiting)
		}
	})
}

// FuzzRotated: of all that may lie in a log directory, only files that a rotation
// names are taken for ours, the oldest first, and a name is found for the next.
func FuzzRotated(f *testing.F) {
	name := string(label(nil, time.Unix(1_700_000_000, 5)))
	f.Add(name + ".s\n" + name + ".u\ncurrent\nlock\n@4000000000000000fffffffff.s")
	f.Add(strings.ToUpper(name) + ".t\n" + name + ".s.bak\n@7fffffffffffffff3b9ac9ff.s")
	f.Fuzz(func(t *testing.T, list string) {
		dir := fstest.MapFS{}
		for n := range strings.SplitSeq(list, "\n") {
			if n != "" && n != "." && n != ".." && !strings.Contains(n, "/") {
				dir[n] = &fstest.MapFile{}
			}
		}
		names, err := readNames(dir)
		if err != nil || !slices.IsSorted(names) {
			t.Fatalf("%q %v", names, err)
		}
		for _, n := range names {
			if dir[n] == nil || len(n) != labelLen+2 {
				t.Errorf("%q", n)
			}
			next := after(n[:labelLen])
			if _, _, ok := scanLabel([]byte(next)); next <= n[:labelLen] && strings.ToLower(n) == n || !ok && !strings.HasPrefix(strings.ToLower(n), "@7fffffffffffffff") {
				t.Errorf("after %s comes %s", n, next)
			}
		}
	})
}
