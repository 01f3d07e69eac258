package backhand

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hotsvc/internal/compat"
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
