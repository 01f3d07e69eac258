package backhand

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHelpersThatAreCalledWrongly.
func TestHelpersThatAreCalledWrongly(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 92)
	for _, c := range []struct {
		status int
		args   []string
	}{
		{22, []string{"connect"}}, {22, []string{"connect", "a", "b"}}, {22, []string{"connect", long}}, {22, []string{"connect", ""}},
		{1, []string{"connect", long[1:]}}, {1, []string{"connect", "nosuch"}}, {1, []string{"connect", "."}},
		{22, []string{"escort"}}, {22, []string{"escort", "s"}}, {22, []string{"escort", long, "run"}}, {22, []string{"escort", "", "run"}},
	} {
		if got := run(t, dir, c.args[0], c.args[1:]...); got != c.status {
			t.Errorf("%q: %d, want %d", c.args, got, c.status)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := helper(t, dir, "escort", "nosuch/socket", "run")
	cmd.Stderr = log
	if cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("no directory: %d", cmd.ProcessState.ExitCode())
	}
}

// TestConnectTakesAnyEndForAnAnswer: a byte or none; it sends nothing itself.
func TestConnectTakesAnyEndForAnAnswer(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "@s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, answer := range []string{"", "\x00", "x", "more than one"} {
		cmd := helper(t, dir, "connect", "@s")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 1)); !os.IsTimeout(err) {
			t.Errorf("it sent %d: %v", n, err)
		}
		conn.Write([]byte(answer))
		conn.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
