package chpst

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
)

const nobody = 65534

func init() {
	if filepath.Base(os.Args[0]) == "other" { // what it tells is so for the first thread
		runtime.LockOSThread()
	}
}

// TestMain: called under one of the names, the test binary is that program.
func TestMain(m *testing.M) {
	if program := Programs[filepath.Base(os.Args[0])]; program != nil {
		os.Exit(program(&compat.Call{Name: filepath.Base(os.Args[0]), Path: os.Args[0], Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	if filepath.Base(os.Args[0]) == "other" { // as hsctl under any other of its names
		var signal int
		if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0, 0, 0); err != nil {
			panic(err)
		}
		fmt.Println("a Go program, with its parent's death", signal)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// place is where the programs are that a test compares, readable by everybody.
type place struct{ dir string }

// newPlace makes a place with our programs.
func newPlace(t *testing.T) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "chpst")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skipf("no busybox: %v", err)
	}
	p := place{dir}
	p.make(t, "", "", 0)
	p.install(t, "ours", self)
	p.copy(t, "tools/busybox", busybox)
	for _, applet := range []string{"cat", "ls", "true", "stat"} {
		if err := os.Symlink("busybox", filepath.Join(p.dir, "tools", applet)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// install puts a program there under all names.
func (p place) install(t *testing.T, side, program string) {
	t.Helper()
	p.copy(t, side+"/it", program)
	for _, name := range append(slices.Collect(maps.Keys(Programs)), "other") {
		if err := os.Symlink("it", filepath.Join(p.dir, side, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p place) copy(t *testing.T, name, from string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	p.make(t, name, string(text), 0o755)
}

// make makes a file, or a directory where mode is 0, whatever the umask.
func (p place) make(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	dir := filepath.Dir(path)
	if mode == 0 {
		dir = path
	}
	var missing []string
	for d := dir; len(d) >= len(p.dir); d = filepath.Dir(d) {
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		os.Mkdir(d, 0o755)
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if mode == 0 {
		return
	}
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

var fetch = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("../../../scripts/runit").Output()
	return strings.TrimSpace(string(out)), err
})
