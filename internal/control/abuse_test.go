package control

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

func raw(t testing.TB, socket string) *net.UnixConn {
	t.Helper()
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return nc
}

// serveStatus runs a server whose every answer is an empty report.
func serveStatus(t testing.TB, set func(*Server)) (*fakeEngine, string) {
	f, socket := serve(t, set)
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{Value: status.Report{Schema: 1}}} }
	return f, socket
}

// unharmed fails unless another client is answered at once.
func unharmed(t *testing.T, socket string) {
	t.Helper()
	began := time.Now()
	if err := dial(t, socket).Call(t.Context(), engine.VerbStatus, Params{}, nil); err != nil {
		t.Errorf("another client: %v", err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("another client waited %v", d)
	}
}

func TestGarbageIsCutOff(t *testing.T) {
	_, socket := serveStatus(t, nil)
	for _, garbage := range []string{"\x00", "hello\x00", "[]\x00", "{\x00", `{"method":7}` + "\x00", strings.Repeat("[", 100_000) + "\x00"} {
		nc := raw(t, socket)
		io.WriteString(nc, garbage)
		answer, err := io.ReadAll(nc)
		if err != nil || !strings.Contains(string(answer), "io.hotsvc.Unavailable") {
			t.Errorf("%.20q: %q, %v", garbage, answer, err)
		}
	}
	unharmed(t, socket)
}

func TestEndlessMessageIsCutOff(t *testing.T) {
	_, socket := serveStatus(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	nc := raw(t, socket)
	chunk := []byte(strings.Repeat("x", 1<<20))
	sent := 0
	for range 200 {
		n, err := nc.Write(chunk)
		sent += n
		if err != nil {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if sent > 4<<20 {
		t.Errorf("took %d bytes without a NUL", sent)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("allocated %d bytes for it", grown)
	}
	unharmed(t, socket)
}

func TestSlowMessageIsCutOff(t *testing.T) {
	_, socket := serveStatus(t, func(s *Server) { s.patience = patience{idle: time.Minute, message: 200 * time.Millisecond} })
	nc := raw(t, socket)
	began := time.Now()
	for time.Since(began) < 5*time.Second {
		if _, err := nc.Write([]byte(" ")); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("a byte at a time was listened to for %v", d)
	}
}

func TestIdleIsCutOffButNotAWait(t *testing.T) {
	f, socket := serve(t, func(s *Server) { s.patience = patience{idle: 200 * time.Millisecond, message: time.Minute} })
	idle := raw(t, socket)
	waiter := raw(t, socket)
	io.WriteString(waiter, `{"method":"io.hotsvc.Wait","parameters":{"services":["a"]}}`+"\x00")
	until(t, "the wait is posted", func() bool { return len(f.inputs()) == 1 })
	if _, err := io.ReadAll(idle); err != nil {
		t.Errorf("an idle connection stays: %v", err)
	}
	time.Sleep(300 * time.Millisecond)
	f.server.Deliver(engine.Reply{ID: f.inputs()[0].Call.ID})
	if answer, err := bufio.NewReader(waiter).ReadString(0); err != nil || answer != `{"parameters":{"done":[]}}`+"\x00" {
		t.Errorf("the wait got %q, %v", answer, err)
	}
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	f, socket := serve(t, func(s *Server) { s.patience = patience{idle: time.Minute, message: 300 * time.Millisecond} })
	nc := raw(t, socket)
	io.WriteString(nc, `{"method":"io.hotsvc.Monitor","more":true}`+"\x00")
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 1 })
	id := f.inputs()[0].Call.ID
	reason := strings.Repeat("because ", 10_000)
	until(t, "the client is given up", func() bool {
		began := time.Now()
		f.server.Deliver(engine.Reply{ID: id, More: true, Value: status.Change{Service: "a", Reason: reason}})
		if d := time.Since(began); d > 100*time.Millisecond {
			t.Fatalf("the engine was held up for %v", d)
		}
		in := f.inputs()
		return len(in) == 2 && in[1].Hangup == id
	})
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{}} }
	unharmed(t, socket)
}

func TestConnectionsAreBounded(t *testing.T) {
	f, socket := serveStatus(t, nil)
	for range maxConns {
		nc := raw(t, socket)
		io.WriteString(nc, `{"method":"io.hotsvc.Status"}`+"\x00")
		if _, err := bufio.NewReader(nc).ReadString(0); err != nil {
			t.Fatal(err)
		}
	}
	posted := len(f.inputs())
	err := dial(t, socket).Call(t.Context(), engine.VerbStatus, Params{}, nil)
	if codeOf(err) != engine.CodeDaemon || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("number 65: %v", err)
	}
	if len(f.inputs()) != posted {
		t.Error("number 65 reached the engine")
	}
}

// TestWhoWaitsLeavesRoom: what many wait for may have to ask, too.
func TestWhoWaitsLeavesRoom(t *testing.T) {
	f, socket := serve(t, nil)
	f.react = func(c engine.Call) []engine.Reply {
		if c.Verb == engine.VerbStatus {
			return []engine.Reply{{Value: status.Report{Schema: 1}}}
		}
		return nil // some day
	}
	for n := range maxWaiting + maxConns {
		io.WriteString(raw(t, socket), `{"method":"io.hotsvc.Require","parameters":{"services":["a"]}}`+"\x00")
		until(t, "it waits", func() bool { return len(f.inputs()) > n })
		if n == maxWaiting {
			unharmed(t, socket)
		}
	}
	err := dial(t, socket).Call(t.Context(), engine.VerbStatus, Params{}, nil)
	if codeOf(err) != engine.CodeDaemon || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("one more: %v", err)
	}
}

func TestPipelinedCallsAreAnsweredInOrder(t *testing.T) {
	f, socket := serve(t, nil)
	f.react = func(c engine.Call) []engine.Reply {
		return []engine.Reply{{Value: []status.Done{{Service: c.Services[0]}}}}
	}
	nc := raw(t, socket)
	const calls = 500
	var all strings.Builder
	for i := range calls {
		fmt.Fprintf(&all, `{"method":"io.hotsvc.Stop","parameters":{"services":["s%d"]}}`+"\x00", i)
	}
	go io.WriteString(nc, all.String())
	r := bufio.NewReader(nc)
	for i := range calls {
		answer, err := r.ReadString(0)
		if err != nil || !strings.Contains(answer, fmt.Sprintf(`"s%d"`, i)) {
			t.Fatalf("answer %d: %q, %v", i, answer, err)
		}
	}
}

// As in `printf … | socat - UNIX-CONNECT:…`: no more to say, but listening.
func TestHalfClosedIsAnswered(t *testing.T) {
	f, socket := serve(t, nil)
	nc := raw(t, socket)
	io.WriteString(nc, `{"method":"io.hotsvc.Wait","parameters":{"services":["a"]}}`+"\x00")
	nc.CloseWrite()
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 1 })
	time.Sleep(100 * time.Millisecond)
	if n := len(f.inputs()); n != 1 {
		t.Fatal("taken for a hang-up")
	}
	f.server.Deliver(engine.Reply{ID: f.inputs()[0].Call.ID})
	if answer, err := io.ReadAll(nc); err != nil || len(answer) == 0 {
		t.Errorf("%q, %v", answer, err)
	}

	nc = raw(t, socket)
	io.WriteString(nc, `{"method":"io.hotsvc.Wait","parameters":{"services":["a"]}}`+"\x00")
	nc.CloseWrite()
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 2 })
	nc.Close()
	until(t, "the hang-up is posted", func() bool { return len(f.inputs()) == 3 })
}

func TestOnewayIsNotAnswered(t *testing.T) {
	f, socket := serveStatus(t, nil)
	nc := raw(t, socket)
	io.WriteString(nc, `{"method":"io.hotsvc.Stop","parameters":{"services":["a"]},"oneway":true}`+"\x00"+`{"method":"io.hotsvc.Status"}`+"\x00")
	answer, err := bufio.NewReader(nc).ReadString(0)
	if err != nil || !strings.Contains(answer, "report") {
		t.Errorf("%q, %v", answer, err)
	}
	if in := f.inputs(); !in[0].Call.NoWait {
		t.Error("a oneway call waits")
	}

	// To hang up takes nothing back.
	f, socket = serve(t, nil)
	nc = raw(t, socket)
	io.WriteString(nc, `{"method":"io.hotsvc.Require","parameters":{"services":["a"]},"oneway":true}`+"\x00")
	nc.Close()
	until(t, "the call is posted", func() bool { return len(f.inputs()) == 1 })
	time.Sleep(50 * time.Millisecond)
	if in := f.inputs(); len(in) != 1 {
		t.Errorf("posted %+v", in[1])
	}
}

func TestVarlinkErrors(t *testing.T) {
	_, socket := serveStatus(t, nil)
	for call, want := range map[string]string{
		`{"method":"x"}`:                                                             `{"parameters":{"parameter":"method"},"error":"org.varlink.service.InvalidParameter"}`,
		`{"method":"org.example.Foo"}`:                                               `{"parameters":{"interface":"org.example"},"error":"org.varlink.service.InterfaceNotFound"}`,
		`{"method":"io.hotsvc.Foo"}`:                                                 `{"parameters":{"method":"io.hotsvc.Foo"},"error":"org.varlink.service.MethodNotFound"}`,
		`{"method":"org.varlink.service.Foo"}`:                                       `{"parameters":{"method":"org.varlink.service.Foo"},"error":"org.varlink.service.MethodNotFound"}`,
		`{"method":"io.hotsvc.Monitor"}`:                                             `{"error":"org.varlink.service.ExpectedMore"}`,
		`{"method":"io.hotsvc.Status","parameters":{"as":"x"}}`:                      `{"parameters":{"parameter":"as"},"error":"org.varlink.service.InvalidParameter"}`,
		`{"method":"io.hotsvc.Status","parameters":{"nope":1}}`:                      `{"parameters":{"parameter":"nope"},"error":"org.varlink.service.InvalidParameter"}`,
		`{"method":"io.hotsvc.Status","parameters":{"services":"a"}}`:                `{"parameters":{"parameter":"services"},"error":"org.varlink.service.InvalidParameter"}`,
		`{"method":"io.hotsvc.Stop"}`:                                                `{"parameters":{"text":"stop takes at least one service"},"error":"io.hotsvc.Usage"}`,
		`{"method":"io.hotsvc.Stop","parameters":{"services":["a\n"]}}`:              `{"parameters":{"text":"\"a\\n\" is no name for a service: names are printable and have at most 255 bytes"},"error":"io.hotsvc.Usage"}`,
		`{"method":"io.hotsvc.Stop","parameters":{"services":["a"],"timeout_ms":0}}`: `{"parameters":{"text":"stop does something, so it cannot just ask: give it time, or do not wait (no_wait, --no-wait)"},"error":"io.hotsvc.Usage"}`,
	} {
		nc := raw(t, socket)
		io.WriteString(nc, call+"\x00")
		answer, err := bufio.NewReader(nc).ReadString(0)
		if err != nil || strings.TrimSuffix(answer, "\x00") != want {
			t.Errorf("%s\n got %q, %v\nwant %q", call, answer, err, want)
		}
	}
}

func TestDescriptionIsServed(t *testing.T) {
	_, socket := serveStatus(t, nil)
	for name, want := range map[string]string{Interface: "method Status", serviceInterface: "method GetInfo", "org.example": "InterfaceNotFound"} {
		nc := raw(t, socket)
		fmt.Fprintf(nc, `{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":%q}}`+"\x00", name)
		if answer, err := bufio.NewReader(nc).ReadString(0); err != nil || !strings.Contains(answer, want) {
			t.Errorf("%s: %.80q, %v", name, answer, err)
		}
	}
}

func TestSocket(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/control"
	l, err := Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := Listen(path, -1); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second listener: %v", err)
	}
	l.Close()
	l, err = Listen(path, -1) // the file is there still, and nobody listens
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	file := dir + "/file"
	os.WriteFile(file, nil, 0o600)
	if _, err := Listen(file, -1); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("in place of a file: %v", err)
	}
	if _, err := Listen(dir+"/"+strings.Repeat("x", 100), -1); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long name: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}
