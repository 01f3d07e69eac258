package svlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// paper is a Sink of one file whose lines begin with "> ".
type paper struct {
	f    *os.File
	size int64
	open bool // a line is
	full bool
}

func openPaper(path string) (*paper, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p := &paper{f: f}
	return p, p.look()
}

func (p *paper) look() error {
	b, err := os.ReadFile(p.f.Name())
	p.size, p.open = int64(len(b)), len(b) > 0 && b[len(b)-1] != '\n'
	return err
}

func (p *paper) Size() int64 { return p.size }

func (p *paper) Render(raw []byte, _ time.Time) (out []byte) {
	for line := range bytes.Lines(raw) {
		if !p.open {
			out = append(out, "> "...)
		}
		out = append(out, line...)
		p.open = line[len(line)-1] != '\n'
	}
	return out
}

func (p *paper) Write(out []byte) error {
	if p.full {
		return unix.ENOSPC
	}
	n, err := p.f.WriteAt(out, p.size)
	p.size += int64(n)
	return err
}

func (p *paper) Rewind(size int64) error {
	if err := p.f.Truncate(size); err != nil {
		return err
	}
	return p.look()
}

func (p *paper) Turn(time.Time) error { return nil }
func (p *paper) Close() error         { return p.f.Close() }

// pumping is a pump from a FIFO to a file, with a writer that keeps it up.
type pumping struct {
	*Pump
	t      *testing.T
	dir    string
	writer *os.File

	// what its owner does
	openSink func() (Sink, error)
	lost     func(error)
	ends     func(still func() bool) bool
}

func (p *pumping) OpenSink(string) (Sink, error)              { return p.openSink() }
func (p *pumping) LostOutput(_ string, err error)             { p.lost(err) }
func (p *pumping) OutputEnds(_ *Pump, still func() bool) bool { return p.ends(still) }

func pump(t *testing.T, change func(*pumping)) *pumping {
	t.Helper()
	p := newPumping(t)
	p.start(change)
	return p
}

func newPumping(t *testing.T) *pumping {
	t.Helper()
	p := &pumping{t: t, dir: t.TempDir()}
	p.openSink = func() (Sink, error) { return openPaper(p.path("paper")) }
	p.lost = func(err error) { t.Error(err) }
	p.ends = func(still func() bool) bool { return still() }
	if err := unix.Mkfifo(p.path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.writer, err = os.OpenFile(p.path("fifo"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.writer.Close() })
	return p
}

func (p *pumping) start(change func(*pumping)) {
	p.t.Helper()
	if change != nil {
		change(p)
	}
	all, err := OpenPumps(p.path("marks"), []string{"a"}, p)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.Pump, err = all.Resume("a", p.path("fifo")); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.writer.Close(); all.Ended(time.Minute); all.Close(time.Minute) })
}

func (p *pumping) path(name string) string { return filepath.Join(p.dir, name) }

func (p *pumping) say(text string) {
	p.t.Helper()
	if _, err := p.writer.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pumping) reads(want string) {
	p.t.Helper()
	until(p.t, func() string {
		got, _ := os.ReadFile(p.path("paper"))
		if string(got) == want {
			return ""
		}
		return fmt.Sprintf("the file has %d bytes: %.200q, want %d: %.200q", len(got), got, len(want), want)
	})
}

// until waits for what must come true in time: that wrong has nothing to say.
func until(t *testing.T, wrong func() string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// rested waits until nobody works for the pump.
func (p *pumping) rested(then func()) {
	p.t.Helper()
	until(p.t, func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy {
			return "busy"
		}
		then()
		return ""
	})
}
