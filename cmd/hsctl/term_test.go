package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal and returns both of its ends.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminal here: ", err)
	}
	t.Cleanup(func() { ours.Close() })
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip("no pseudo terminal here: ", err)
	}
	unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60})
	return ours, theirs
}

// onTerminal runs hsctl on a terminal and returns what a person would see.
func onTerminal(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	ours, theirs := terminal(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "hsctl"
	cmd.Env = append([]string{"HOTSVC_SOCKET=" + dir + "/control", "TERM=xterm", "GORACE=atexit_sleep_ms=0"}, env...)
	cmd.Stdout, cmd.Stderr = theirs, theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var seen strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := ours.Read(buf)
		seen.Write(buf[:n])
		if err != nil { // EIO: the other end is closed
			break
		}
	}
	cmd.Wait()
	return seen.String()
}

func TestOnTerminal(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "services"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"slow": `ready = "notify"`, "quick": ""} {
		if err := os.WriteFile(filepath.Join(dir, "services", name+".toml"), []byte("exec_start = [\"sleep\"]\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	daemon, err := startCore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.stop()

	// What takes longer than a second says what it waits for, and wipes it.
	seen := onTerminal(t, dir, nil, "require", "slow", "--timeout", "1300ms")
	if !strings.Contains(seen, "\r\x1b[Kwaiting for slow: starting\r\x1b[Khsctl: slow is ") {
		t.Errorf("progress: %q", seen)
	}
	if seen := onTerminal(t, dir, nil, "require", "quick"); strings.Contains(seen, "waiting") {
		t.Errorf("progress of what is quick: %q", seen)
	}

	const green = "\x1b[32mup\x1b[0m"
	if seen := onTerminal(t, dir, nil, "status"); !strings.Contains(seen, green) {
		t.Errorf("no colour: %q", seen)
	}
	for _, line := range strings.Split(onTerminal(t, dir, []string{"NO_COLOR=1"}, "status"), "\r\n") {
		if strings.Contains(line, "\x1b") || len([]rune(line)) > 60 {
			t.Errorf("with NO_COLOR, on a terminal of 60 columns: %q", line)
		}
	}
	if seen := onTerminal(t, dir, nil, "--no-color", "status"); strings.Contains(seen, "\x1b") {
		t.Errorf("with --no-color: %q", seen)
	}
}

// Every verb explains itself.
func TestHelp(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.Short == "" || !strings.Contains(c.Example, "hsctl "+c.Name()) {
			t.Errorf("%s has no help or no example", c.Name())
		}
		if c.Long == "" && c.Name() != "version" {
			t.Errorf("%s says no more than a line", c.Name())
		}
	}
}
