package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

// fakeEngine notes what is posted and answers with react, if that is set.
type fakeEngine struct {
	server *Server
	mu     sync.Mutex
	posted []engine.Input
	react  func(engine.Call) []engine.Reply
}

func (f *fakeEngine) post(in engine.Input) {
	f.mu.Lock()
	f.posted = append(f.posted, in)
	react := f.react
	f.mu.Unlock()
	if in.Call == nil || react == nil {
		return
	}
	for _, r := range react(*in.Call) {
		r.ID = in.Call.ID
		f.server.Deliver(r)
	}
}

func (f *fakeEngine) inputs() []engine.Input {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posted)
}

// until waits for something to come true that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// serve runs a server on a socket of its own.
func serve(t testing.TB, set func(*Server)) (*fakeEngine, string) {
	t.Helper()
	f := &fakeEngine{}
	s := &Server{Post: f.post, Version: "1.2.3", Group: -1}
	f.server = s
	if set != nil {
		set(s)
	}
	socket := filepath.Join(t.TempDir(), "control")
	l, err := Listen(socket, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
		if len(s.conns) != 0 || len(s.waiting) != 0 || s.readers != 0 {
			t.Errorf("left behind: %d connections, %d calls, %d readers", len(s.conns), len(s.waiting), s.readers)
		}
	})
	return f, socket
}

func dial(t testing.TB, socket string) *Client {
	t.Helper()
	c, err := Dial(context.Background(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func codeOf(err error) engine.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return -1
}

func TestCallReachesEngineAndBack(t *testing.T) {
	f, socket := serve(t, nil)
	f.react = func(c engine.Call) []engine.Reply {
		return []engine.Reply{{Value: []status.Done{{Service: c.Services[0], State: "up", Text: "up <now>"}}}}
	}
	c := dial(t, socket)
	ms := int64(1500)
	for range 3 { // one connection, several calls
		var done []status.Done
		if err := c.Call(t.Context(), engine.VerbRequire, Params{Services: []string{"a"}, As: "me", Timeout: &ms}, &done); err != nil {
			t.Fatal(err)
		}
		if len(done) != 1 || done[0].Text != "up <now>" {
			t.Fatalf("got %+v", done)
		}
	}
	got := f.inputs()[2].Call
	started, _ := Started(os.Getpid())
	want := engine.Call{
		ID: 3, Verb: engine.VerbRequire, Services: []string{"a"}, As: "me", Timeout: 1500 * time.Millisecond,
		Peer: engine.Peer{UID: os.Getuid(), Client: engine.Client{Pid: os.Getpid(), Started: started}},
	}
	if got.ID != want.ID || got.Verb != want.Verb || !slices.Equal(got.Services, want.Services) ||
		got.As != want.As || got.Timeout != want.Timeout || got.Peer != want.Peer || started == 0 {
		t.Errorf("the engine got %+v, want %+v", *got, want)
	}
}

func TestPeerServiceIsTold(t *testing.T) {
	f, socket := serve(t, func(s *Server) {
		s.ServiceOf = func(pid int) (string, int64, bool) { return "dhcp@wan0", 7, pid == os.Getpid() }
	})
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{}} }
	if err := dial(t, socket).Call(t.Context(), engine.VerbStatus, Params{}, nil); err != nil {
		t.Fatal(err)
	}
	if p := f.inputs()[0].Call.Peer; p.Service != "dhcp@wan0" || p.Attempt != 7 {
		t.Errorf("peer %+v", p)
	}
}

func TestErrorsKeepCodeTextAndValue(t *testing.T) {
	f, socket := serve(t, nil)
	c := dial(t, socket)
	for _, fail := range failures {
		f.react = func(engine.Call) []engine.Reply {
			return []engine.Reply{{Code: fail.Code, Error: "because", Value: status.Why{Service: "a", State: "down"}}}
		}
		var why status.Why
		err := c.Call(t.Context(), engine.VerbWhy, Params{Services: []string{"a"}}, &why)
		if codeOf(err) != fail.Code || err.Error() != "because" || why.State != "down" {
			t.Errorf("%s: %v, %+v", fail.Name, err, why)
		}
	}
}

func TestHangupEndsTheWait(t *testing.T) {
	f, socket := serve(t, nil)
	c := dial(t, socket)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Call(ctx, engine.VerbWait, Params{Services: []string{"a"}}, nil) }()
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 1 })
	cancel()
	if err := <-ended; err == nil {
		t.Error("a cancelled wait ended well")
	}
	c.Close()
	until(t, "the hang-up is posted", func() bool {
		in := f.inputs()
		return len(in) == 2 && in[1].Hangup == in[0].Call.ID
	})
}

func TestMonitorCoalesces(t *testing.T) {
	f, socket := serve(t, nil)
	c := dial(t, socket)
	const last = 1000
	got := make(chan status.Change, 2*last)
	hold := make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Monitor(ctx, nil, func(changes []status.Change) error {
		for _, ch := range changes {
			got <- ch
		}
		<-hold // a client that is slow
		return nil
	})
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 1 })
	id := f.inputs()[0].Call.ID
	for i := range last {
		for _, name := range []string{"a", "b"} {
			f.server.Deliver(engine.Reply{ID: id, More: true, Value: status.Change{Service: name, Count: int64(i + 1)}})
		}
	}
	close(hold)
	seen := map[string]int64{}
	for seen["a"] != last || seen["b"] != last {
		ch := <-got
		if ch.Count <= seen[ch.Service] {
			t.Fatalf("%s: %d after %d", ch.Service, ch.Count, seen[ch.Service])
		}
		seen[ch.Service] = ch.Count
	}
}

func TestMailboxIsBounded(t *testing.T) {
	m := &mailbox{bell: make(chan struct{}, 1)}
	for i := range 100_000 {
		m.put(engine.Reply{More: true, Value: status.Change{Service: "a", Count: int64(i)}})
		m.put(engine.Reply{More: true, Value: status.Change{Service: "b"}})
	}
	part, last := m.take()
	changes := part.([]status.Change)
	if len(changes) != 2 || changes[0].Count != 99_999 || last != nil {
		t.Errorf("%d changes wait, the first with count %d", len(changes), changes[0].Count)
	}
}

// TestJournalIsToldWhole: a journal comes in pieces that end between letters, in
// order, and one that is not read ends.
func TestJournalIsToldWhole(t *testing.T) {
	m := &mailbox{bell: make(chan struct{}, 1)}
	line := strings.Repeat("ü", 700_000) + "\n"
	m.put(engine.Reply{More: true, Value: engine.JournalLine(line)})
	m.put(engine.Reply{More: true, Value: engine.JournalLine("end\n")})
	var got strings.Builder
	for {
		part, _ := m.take()
		if part == nil {
			break
		}
		if !utf8.ValidString(part.(string)) {
			t.Fatal("a piece ends within a letter")
		}
		got.WriteString(part.(string))
	}
	if got.String() != line+"end\n" {
		t.Errorf("%d bytes came of %d", got.Len(), len(line)+4)
	}
	for range 2 * maxJournal / len(line) {
		m.put(engine.Reply{More: true, Value: engine.JournalLine(line)})
	}
	for part, last := m.take(); ; part, last = m.take() {
		if last != nil {
			if last.Code != engine.CodeNo {
				t.Errorf("it ends with %+v", last)
			}
			return
		}
		if part == nil {
			t.Fatal("it does not end")
		}
	}
}

func TestReload(t *testing.T) {
	var problems []toml.Problem
	var refused error
	_, socket := serve(t, func(s *Server) {
		s.Reload = func(context.Context) ([]toml.Problem, error) { return problems, refused }
	})
	c := dial(t, socket)
	if err := c.Call(t.Context(), Reload, Params{}, nil); err != nil {
		t.Error(err)
	}
	problems = []toml.Problem{{Pos: toml.Pos{File: "a.toml", Line: 3}, Text: "no"}}
	refused = errors.New("refused")
	var got []toml.Problem
	if err := c.Call(t.Context(), Reload, Params{}, &got); codeOf(err) != engine.CodeNo || !slices.Equal(got, problems) {
		t.Errorf("%v, %v", err, got)
	}
}

func TestLaterWaitsForHangup(t *testing.T) {
	f, socket := serve(t, nil)
	f.react = func(c engine.Call) []engine.Reply {
		return []engine.Reply{{Later: true, Value: []status.Done{{Text: "accepted"}}}}
	}
	c := dial(t, socket)
	if err := c.Call(t.Context(), engine.VerbStop, Params{Services: []string{"a"}}, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if n := len(f.inputs()); n != 1 {
		t.Fatalf("%d inputs before the hang-up", n)
	}
	c.Close()
	until(t, "the hang-up is posted", func() bool { return len(f.inputs()) == 2 })
	if in := f.inputs(); in[1].Hangup != in[0].Call.ID {
		t.Errorf("posted %+v", in[1])
	}

	// Who does not hang up is not waited for longer than a second.
	if err := dial(t, socket).Call(t.Context(), engine.VerbStop, Params{Services: []string{"a"}}, nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the hang-up is posted", func() bool { return len(f.inputs()) == 4 })
}

func TestInfo(t *testing.T) {
	_, socket := serve(t, nil)
	if version, err := dial(t, socket).Version(t.Context()); err != nil || version != "1.2.3" {
		t.Error(version, err)
	}
}

func TestNoDaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control")
	for _, stale := range []bool{false, true} {
		if stale {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}
		_, err := Dial(t.Context(), socket)
		if codeOf(err) != engine.CodeDaemon {
			t.Errorf("stale %v: %v", stale, err)
		}
	}
}

// Questions are bounded, answers are not: a thousand services are more than 1 MiB.
func TestLongAnswer(t *testing.T) {
	f, socket := serve(t, nil)
	report := status.Report{Services: make([]status.Service, 3000)}
	for i := range report.Services {
		report.Services[i].Reason = strings.Repeat("because ", 100)
	}
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{Value: report}} }
	var got status.Report
	if err := dial(t, socket).Call(t.Context(), engine.VerbStatus, Params{}, &got); err != nil || len(got.Services) != 3000 {
		t.Errorf("%d services, %v", len(got.Services), err)
	}
}
