package svlog

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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

// TestCloseWaitsForThoseThatAreAboutToEnd: also one that its owner knows no more.
func TestCloseWaitsForThoseThatAreAboutToEnd(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	p := pump(t, func(p *pumping) {
		p.ends = func(func() bool) bool { asked <- true; return <-answer }
	})
	p.say("the end")
	p.reads("> the end")
	p.writer.Close()
	<-asked
	closed := make(chan bool)
	go func() { p.all.Close(time.Minute); closed <- true }()
	answer <- true
	<-closed
	select {
	case <-p.Done():
	default:
		t.Error("the pump is at work, and its marks are gone")
	}
}

// TestCloseDoesNotWaitForWhatIsStuck, nor takes the marks away from it.
func TestCloseDoesNotWaitForWhatIsStuck(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	p := pump(t, func(p *pumping) {
		open := p.openSink
		p.openSink = func() (Sink, error) { asked <- true; <-answer; return open() }
	})
	p.say("slow\n")
	<-asked
	p.all.Close(time.Millisecond)
	answer <- true
	p.reads("> slow\n")
	<-p.Done()
}

func TestSomebodyOpensItAgainAtTheEnd(t *testing.T) {
	var p *pumping
	again := make(chan *os.File, 1)
	asked := false
	p = pump(t, func(p *pumping) {
		p.ends = func(still func() bool) bool {
			if !asked {
				asked = true
				w, err := os.OpenFile(p.path("fifo"), os.O_RDWR, 0)
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
	p := pump(t, func(p *pumping) {
		p.openSink = func() (Sink, error) {
			f, err := os.OpenFile(p.path("paper"), os.O_RDWR|os.O_CREATE, 0o600)
			full.f = f
			return full, err
		}
		p.lost = func(err error) {
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
	p := pump(t, func(p *pumping) {
		usual := p.openSink
		p.openSink = func() (Sink, error) {
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
	p := pump(t, func(p *pumping) {
		p.openSink = func() (Sink, error) { return nil, unix.EROFS }
		p.lost = func(err error) {
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

func TestSilentSinkIsClosedAndItsLineGoesOn(t *testing.T) {
	p := pump(t, nil)
	p.say("dots: .")
	p.reads("> dots: .")
	p.rested(func() { p.used = time.Now().Add(-idleTime) })
	p.wake()
	until(t, func() (wrong string) {
		p.rested(func() {
			if p.sink != nil {
				wrong = "it is open"
			}
		})
		return wrong
	})
	p.say(".\n")
	p.reads("> dots: ..\n")
}

func TestRenewedSinkIsAnother(t *testing.T) {
	p := pump(t, nil)
	p.say("one\n")
	p.reads("> one\n")
	p.rested(func() { p.openSink = func() (Sink, error) { return openPaper(p.path("other")) } })
	p.Renew()
	p.say("two\n")
	until(t, func() string {
		if text, _ := os.ReadFile(p.path("other")); string(text) != "> two\n" {
			return fmt.Sprintf("the other has %q", text)
		}
		return ""
	})
	p.reads("> one\n")
}

func TestSystemLoggerGetsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	p := pump(t, func(p *pumping) {
		p.openSink = func() (Sink, error) { return NewSyslog(path, "a"), nil }
		p.lost = func(err error) {
			if !strings.Contains(err.Error(), "syslog: lines are dropped: ") {
				t.Error(err)
			}
		}
	})
	p.say("nobody\nlistens\n")
	p.rested(func() {})
	until(t, func() string { // the FIFO is empty
		if n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ); n > 0 || err != nil {
			return fmt.Sprint(n, err)
		}
		return ""
	})
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p.say("one\ntw")
	p.say("o\nthe end")
	p.writer.Close()
	buf := make([]byte, 9000)
	for _, want := range []string{"2 lines dropped: nobody took them", "one", "two", "the end"} {
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^<30>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d a: ` + want + `$`).Match(buf[:n]) {
			t.Errorf("got %q, want %q", buf[:n], want)
		}
	}
}

func TestMarksOfNobodyAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks")
	m, err := OpenPumps(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range markCount {
		markAt(m.memory, i).begin(uint64(i), 0, 1, []byte("x"))
	}
	markAt(m.memory, 7).key = keyOf("b")
	m.Close(time.Minute)
	if m, err = OpenPumps(path, []string{"b"}, nil); err != nil {
		t.Fatal(err)
	}
	defer m.Close(time.Minute)
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
	m, err := OpenPumps(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	markAt(m.memory, markCount-1).begin(1, 0, 1, []byte("x")) // no SIGBUS
	m.Close(time.Minute)
	if m, err = OpenPumps(filepath.Join(path, "x"), nil, nil); err == nil || m == nil {
		t.Fatalf("marks %v, %v: want some that can be used, and why they are not in the file", m, err)
	}
	markAt(m.memory, 0).begin(1, 0, 1, []byte("x"))
	m.Close(time.Minute)
}
