package backhand

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/compat"
	"hotsvc/internal/livetest"
)

// Called under one of these names, the test binary is that program.
func init() {
	name := filepath.Base(os.Args[0])
	program := map[string]compat.Program{
		"semaphore": semaphore, "state": setState, "connect": connect,
		"escort":       escorting(launchGap, killGrace),
		"quick-escort": escorting(time.Millisecond, 300*time.Millisecond),
	}[name]
	if program != nil {
		os.Exit(program(&compat.Call{Name: name, Path: os.Args[0], Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
}

// helper is one of the programs, to be run in dir.
func helper(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{Path: self, Args: append([]string{name}, args...), Dir: dir,
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")}
}

// run runs one of the programs and returns its exit status.
func run(t *testing.T, dir, name string, args ...string) int {
	t.Helper()
	cmd := helper(t, dir, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); (name == "semaphore" || name == "state") && (code < 2) != (stderr.Len() == 0) {
		t.Errorf("%s %q: status %d and says %q", name, args, code, &stderr)
	}
	return cmd.ProcessState.ExitCode()
}

// holds fails the test if a file holds anything else.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", filepath.Base(path), got, want, err)
	}
}

// says returns what a command, or the child of one that is an escort, writes
// until there is a last word in it. It has descriptors 3 and 4, too.
func says(t *testing.T, cmd *exec.Cmd, last string) string {
	t.Helper()
	cmd.Dir = t.TempDir()
	path := filepath.Join(cmd.Dir, "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.ExtraFiles = out, []*os.File{out, out}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var text []byte
	livetest.Until(t, "it says "+last, func() bool {
		text, err = os.ReadFile(path)
		return err != nil || strings.Contains(string(text), last)
	})
	if _, err := os.Lstat(filepath.Join(cmd.Dir, "socket")); err == nil {
		run(t, cmd.Dir, "connect", "socket")
	}
	return string(text)
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
