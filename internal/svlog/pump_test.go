package svlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
}

func pump(t *testing.T, change func(*PumpConfig)) *pumping {
	t.Helper()
	p := newPumping(t)
	p.start(change)
	return p
}

func newPumping(t *testing.T) *pumping {
	t.Helper()
	p := &pumping{t: t, dir: t.TempDir()}
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

func (p *pumping) start(change func(*PumpConfig)) {
	p.t.Helper()
	marks, err := OpenMarks(p.path("marks"), []string{"a"})
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := PumpConfig{
		Service: "a", FIFO: p.path("fifo"),
		Open:    func() (Sink, error) { return openPaper(p.path("paper")) },
		Trouble: func(err error) { p.t.Error(err) },
		End:     func(still func() bool) bool { return still() },
	}
	if change != nil {
		change(&cfg)
	}
	if p.Pump, err = marks.Pump(cfg); err != nil {
		p.t.Fatal(err)
	}
	end := p.Pump
	p.t.Cleanup(func() { p.writer.Close(); <-end.Done(); marks.Close() })
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

func TestWhatIsWrittenArrives(t *testing.T) {
	p := pump(t, nil)
	p.say("one\ntwo\nthr")
	p.reads("> one\n> two\n> thr")
	p.say("ee\n")
	p.reads("> one\n> two\n> three\n")
	p.say("the end")
	p.writer.Close()
	<-p.Done()
	p.reads("> one\n> two\n> three\n> the end\n")
}

func TestMuchArrivesInOrder(t *testing.T) {
	p := pump(t, nil)
	var want strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&want, "> line %d\n", i)
	}
	p.say(strings.ReplaceAll(want.String(), "> ", ""))
	p.reads(want.String())
}

func TestStopLeavesTheRestToTheNext(t *testing.T) {
	p := pump(t, nil)
	p.say("one\n")
	p.reads("> one\n")
	p.Stop()
	<-p.Done()
	p.say("two\n")
	p.start(nil)
	p.reads("> one\n> two\n")
}

func TestSomebodyOpensItAgainAtTheEnd(t *testing.T) {
	var p *pumping
	again := make(chan *os.File, 1)
	asked := false
	p = pump(t, func(c *PumpConfig) {
		c.End = func(still func() bool) bool {
			if !asked {
				asked = true
				w, err := os.OpenFile(c.FIFO, os.O_RDWR, 0)
				if err != nil {
					t.Error(err)
				}
				again <- w
			}
			return still()
		}
	})
	p.writer.Close()
	p.writer = <-again
	p.say("still there\n")
	p.reads("> still there\n")
}

func TestFullDiskDoesNotHoldTheWriterUp(t *testing.T) {
	full := &paper{full: true}
	told := make(chan error, 1000)
	p := pump(t, func(c *PumpConfig) {
		c.Open = func() (Sink, error) {
			f, err := os.OpenFile(filepath.Join(filepath.Dir(c.FIFO), "paper"), os.O_RDWR|os.O_CREATE, 0o600)
			full.f = f
			return full, err
		}
		c.Trouble = func(err error) {
			select {
			case told <- err:
			default:
			}
		}
	})
	p.say(strings.Repeat("much more than the FIFO holds\n", 20_000))
	if err := <-told; !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	p.reads("")
}

func TestSinkThatCannotBeOpenedYetLosesNothing(t *testing.T) {
	tries := 0
	p := pump(t, func(c *PumpConfig) {
		usual := c.Open
		c.Open = func() (Sink, error) {
			if tries++; tries < 5 {
				return nil, unix.EWOULDBLOCK
			}
			return usual()
		}
	})
	p.say("one\n")
	p.reads("> one\n")
}

func TestSinkThatCannotBeOpenedHoldsNobodyUp(t *testing.T) {
	told := make(chan error, 1000)
	p := pump(t, func(c *PumpConfig) {
		c.Open = func() (Sink, error) { return nil, unix.EROFS }
		c.Trouble = func(err error) {
			select {
			case told <- err:
			default:
			}
		}
	})
	began := time.Now()
	p.say(strings.Repeat("much more than the FIFO holds\n", 20_000))
	if d := time.Since(began); d > 2*openPatience {
		t.Errorf("it took %v", d)
	}
	if err := <-told; !strings.Contains(err.Error(), "read-only") {
		t.Error(err)
	}
}

func TestMarksOfNobodyAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks")
	m, err := OpenMarks(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range markCount {
		m.at(i).begin(uint64(i), 0, 1, []byte("x"))
	}
	m.at(7).key = keyOf("b")
	m.Close()
	if m, err = OpenMarks(path, []string{"b"}); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if s := m.take(keyOf("b")); s.slot != 7 {
		t.Errorf("b has slot %d", s.slot)
	}
	if s := m.take(keyOf("c")); s.slot == 7 || s.mark.open.Load() != 0 {
		t.Errorf("c has slot %d, open %d", s.slot, s.mark.open.Load())
	}
}

func TestMarksFileOfSomebodyElseIsMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := OpenMarks(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.at(markCount-1).begin(1, 0, 1, []byte("x")) // no SIGBUS
	m.Close()
	if m, err = OpenMarks(filepath.Join(path, "x"), nil); err == nil || m == nil {
		t.Fatalf("marks %v, %v: want some that can be used, and why they are not in the file", m, err)
	}
	m.at(0).begin(1, 0, 1, []byte("x"))
	m.Close()
}
