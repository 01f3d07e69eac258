package svlogd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
	"hotsvc/internal/livetest"
	"hotsvc/internal/svlog"
)

// TestMain: called as svlogd, the test binary is svlogd.
func TestMain(m *testing.M) {
	if program := Programs[filepath.Base(os.Args[0])]; program != nil {
		os.Exit(program(&compat.Call{Name: "svlogd", Path: os.Args[0], Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // ours ends a thousand times
	os.Exit(m.Run())
}

// ours returns the path of our svlogd.
func ours(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "svlogd")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

var fetch = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("../../../scripts/runit").Output()
	return strings.TrimSpace(string(out)), err
})

// theirs returns the path of Debian's svlogd.
func theirs(t *testing.T) string {
	t.Helper()
	root, err := fetch()
	if err != nil {
		t.Skipf("no runit here to compare with: %v", err)
	}
	return filepath.Join(root, "usr/bin/svlogd")
}

// files is what a directory is made of, by name.
type files map[string]string

// outcome is what became of a run.
type outcome struct {
	exit   int
	stderr string
}

// write makes a directory of files below a directory of the test's own.
func write(t *testing.T, dir string, content files) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// quick is a directory where a sync costs nothing, if there is such a place.
func quick(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "svlogd")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// feed runs a svlogd in cwd until it has read all of input.
func feed(t *testing.T, program, cwd, input string, args ...string) outcome {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = cwd, strings.NewReader(input), &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stderr.String()}
}

var stamps = regexp.MustCompile(`(?m)^(@[0-9a-f]{24}|\d{4}-\d\d-\d\d[_T]\d\d:\d\d:\d\d\.\d{5}) `)

// describe shows a directory with everything but the time: each file's name,
// mode and content, rotated ones by their number.
func describe(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	rotated := 0
	for _, e := range entries {
		name := e.Name()
		if len(name) == 27 && name[0] == '@' {
			rotated++
			name = fmt.Sprintf("@%d%s", rotated, name[25:])
		}
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "== %s %v\n", name, st.Mode())
		if st.Mode().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(stamps.ReplaceAllFunc(text, func(s []byte) []byte {
				return bytes.Map(func(r rune) rune {
					if '0' <= r && r <= '9' || 'a' <= r && r <= 'f' {
						return '0'
					}
					return r
				}, s)
			}))
		}
	}
	return b.String()
}

// lines returns the lines of a directory, the oldest first, without stamps.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	r, err := svlog.OpenReader(dir, svlog.ReadOptions{Last: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []string
	for {
		line, err := r.Next(t.Context())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := svlog.ParseStamp(line)
		all = append(all, string(text))
	}
}

// running is a svlogd that reads what the test writes to it.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	ended bool
}

// start starts a svlogd; stderr may be nil.
func start(t *testing.T, stderr *os.File, program, cwd string, args ...string) *running {
	t.Helper()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r := &running{t: t, cmd: exec.Command(program, args...), in: feed}
	r.cmd.Dir, r.cmd.Stdin = cwd, in
	if stderr != nil {
		r.cmd.Stderr = stderr
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		feed.Close()
		if !r.ended {
			r.cmd.Process.Kill()
			r.cmd.Wait()
		}
	})
	return r
}

// taken says whether all that was printed has been read.
func (r *running) taken() bool {
	n, err := unix.IoctlGetInt(int(r.in.Fd()), unix.TIOCINQ)
	return err == nil && n == 0
}

func (r *running) print(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.in, text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit status.
func (r *running) exit() int {
	r.t.Helper()
	end := time.AfterFunc(20*time.Second, func() { r.cmd.Process.Kill() })
	defer end.Stop()
	r.cmd.Wait()
	r.ended = true
	return r.cmd.ProcessState.ExitCode()
}

// has waits until the directory has such lines.
func has(t *testing.T, dir string, want ...string) {
	t.Helper()
	livetest.Until(t, fmt.Sprintf("%s has %q", dir, want), func() bool {
		_, err := os.Stat(filepath.Join(dir, "current"))
		return err == nil && slices.Equal(lines(t, dir), want)
	})
}
