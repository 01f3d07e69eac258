package control

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/engine"
)

// TestMain lets the test binary be a client of another user's.
func TestMain(m *testing.M) {
	if verb := os.Getenv("CONTROL_TEST_ASK"); verb != "" {
		os.Exit(askAs(engine.Verb(verb), os.Getenv("CONTROL_TEST_SOCKET")))
	}
	os.Exit(m.Run())
}

func askAs(verb engine.Verb, socket string) int {
	var p Params
	if o := Find(verb); o.Names == OneName || o.Names == AllNames {
		p.Services = []string{"a"}
	}
	c, err := Dial(context.Background(), socket)
	if err == nil {
		err = c.Call(context.Background(), verb, p, nil)
	}
	if err != nil {
		fmt.Println(err)
		return int(codeOf(err))
	}
	return 0
}

// Root may do all, the socket's group may read, and nobody else anything.
func TestAccess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	const group = 54321
	f, socket := serve(t, func(s *Server) { s.Group = group })
	f.react = func(engine.Call) []engine.Reply { return []engine.Reply{{}} }
	for dir := filepath.Dir(socket); dir != os.TempDir(); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	// Wider than it is in life, so that the server must look for itself.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(filepath.Dir(socket), "client")
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, b, 0o755); err != nil {
		t.Fatal(err)
	}
	people := []struct {
		name   string
		cred   syscall.Credential
		access map[Access]bool
	}{
		{"root", syscall.Credential{}, map[Access]bool{Read: true, Write: true}},
		{"a member by first group", syscall.Credential{Uid: 12345, Gid: group}, map[Access]bool{Read: true}},
		{"a member", syscall.Credential{Uid: 12345, Gid: 12345, Groups: []uint32{1, 2, group}}, map[Access]bool{Read: true}},
		{"somebody", syscall.Credential{Uid: 12345, Gid: 12345, Groups: []uint32{1, 2}}, nil},
	}
	for _, who := range people {
		for _, o := range Operations {
			if (o.Streams || o.Verb == Reload || o.Verb == Upgrade) && who.access[o.Access] {
				continue // they may, and it would do more than answer
			}
			cmd := exec.Command(self)
			cmd.Env = []string{"CONTROL_TEST_ASK=" + string(o.Verb), "CONTROL_TEST_SOCKET=" + socket, "GORACE=atexit_sleep_ms=0"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &who.cred}
			cmd.Dir = "/"
			out, err := cmd.CombinedOutput()
			want := 0
			if !who.access[o.Access] {
				want = int(engine.CodeDenied)
			}
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
				t.Errorf("%s, %s: %v, want exit %d: %s", who.name, o.Verb, err, want, out)
			}
			if want != 0 && !strings.Contains(string(out), "uid 12345 may not") {
				t.Errorf("%s, %s: %s", who.name, o.Verb, out)
			}
		}
	}
	for _, in := range f.inputs() {
		if in.Call != nil && in.Call.Peer.UID != 0 && Find(in.Call.Verb).Access != Read {
			t.Errorf("the engine got %s of uid %d", in.Call.Verb, in.Call.Peer.UID)
		}
	}
}

// A process of a foreign pid namespace has no pid here to hold by.
func TestNamelessHold(t *testing.T) {
	foreign := &conn{}
	gone := &conn{caller: caller{Peer: engine.Peer{Client: engine.Client{Pid: 5}}}}
	for _, c := range []struct {
		conn    *conn
		call    engine.Call
		refused bool
	}{
		{foreign, engine.Call{Verb: engine.VerbHold}, true},
		{foreign, engine.Call{Verb: engine.VerbRequire}, true},
		{foreign, engine.Call{Verb: engine.VerbRequire, As: "me"}, false},
		{foreign, engine.Call{Verb: engine.VerbStop}, false},
		{gone, engine.Call{Verb: engine.VerbHold}, true},
		{gone, engine.Call{Verb: engine.VerbRequire}, false},
	} {
		if why := c.conn.namelessHold(c.call); (why != "") != c.refused {
			t.Errorf("%+v of pid %d: %q", c.call, c.conn.caller.Client.Pid, why)
		}
	}
}
