// Package e2e_test runs the real daemon and the real hsctl, each test in
// namespaces of its own, and looks at what a person would see.
package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/status"
)

// binDir names the directory of the binaries to the second run of a test, or
// other binaries to the first.
const binDir = "HOTSVC_E2E_BIN"

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "6") // they wait most of the time
	if os.Getenv(binDir) != "" {
		os.Exit(m.Run())
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hotsvc-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", dir, "hotsvc/cmd/hotsvc", "hotsvc/cmd/hsctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	// An unprivileged run of a test must be able to read it.
	os.Chmod(dir, 0o755)
	os.Setenv(binDir, dir)
	return m.Run()
}

func program(name string) string { return filepath.Join(os.Getenv(binDir), name) }

// machine is a small computer: its own links, directories and daemon.
type machine struct {
	*testing.T
	dir    string
	args   []string // of the daemon, besides the directories
	daemon *exec.Cmd
	ended  chan struct{} // the daemon's process is over
	mu     sync.Mutex
	said   bytes.Buffer // by all daemons so far, on stderr
}

// live runs a story in new namespaces, beside the other tests.
func live(t *testing.T, story func(m *machine)) {
	t.Parallel()
	livetest.Namespace(t, func(t *testing.T) {
		mountCgroups(t)
		story(newMachine(t))
	})
}

// liveBothWays runs it with cgroups, where they are, and without.
func liveBothWays(t *testing.T, story func(m *machine)) {
	t.Parallel()
	for _, with := range []string{"cgroups", "no cgroups"} {
		t.Run(with, func(t *testing.T) {
			t.Parallel()
			livetest.Namespace(t, func(t *testing.T) {
				if with == "cgroups" && !mountCgroups(t) {
					t.Skip("no cgroup2 to write to here")
				}
				story(newMachine(t))
			})
		})
	}
}

// mountCgroups shows cgroup2 where a system has it. A user namespace may mount
// it only from a cgroup namespace of its own.
func mountCgroups(t *testing.T) bool {
	ok := make(chan bool)
	go func() { // on a thread that ends with it
		if err := lockAndUnshare(); err != nil {
			ok <- false
			return
		}
		ok <- unix.Mount("none", "/sys/fs/cgroup", "cgroup2", 0, "") == nil
	}()
	return <-ok && unix.Access("/sys/fs/cgroup", unix.W_OK) == nil
}

func newMachine(t *testing.T) *machine {
	// Orphans come to us, so that none outlives its test. We reap nobody: the
	// daemon must live with that, as in a container whose first process does not.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	m := &machine{T: t, dir: t.TempDir()}
	os.Chmod(m.dir, 0o755)
	for _, d := range []string{"rules.d", "services"} {
		must(t, os.Mkdir(m.path(d), 0o755))
	}
	t.Cleanup(m.tidy)
	return m
}

// tidy ends the daemon, and then whatever is left of what the test began.
func (m *machine) tidy() {
	if m.daemon != nil {
		m.daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-m.ended:
		case <-time.After(15 * time.Second):
			m.Errorf("the daemon does not end")
		}
	}
	for range 20 {
		left := descendants(os.Getpid())
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if m.Failed() {
		m.Logf("the daemon said:\n%s", m.words())
	}
}

func (m *machine) words() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.String()
}

func (m *machine) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.Write(b)
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// file writes a file; a service or rule file is m.service or m.rules.
func (m *machine) file(name, text string) string {
	m.Helper()
	must(m.T, os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	must(m.T, os.WriteFile(m.path(name), []byte(text), 0o644))
	return m.path(name)
}

func (m *machine) service(name, text string) { m.Helper(); m.file("services/"+name+".toml", text) }
func (m *machine) rules(text string)         { m.Helper(); m.file("rules.d/50-test.toml", text) }

// command is the daemon with its directories.
func (m *machine) command(more ...string) *exec.Cmd {
	args := append([]string{"--config", m.path("hotsvc.toml"), "--rules", m.path("rules.d"), "--services", m.path("services"),
		"--run-dir", m.path("run"), "--log-dir", m.path("log")}, m.args...)
	return exec.Command(program("hotsvc"), append(args, more...)...)
}

// boot starts the daemon and returns when it answers and knows the hardware.
func (m *machine) boot() {
	m.Helper()
	if _, err := os.Stat(m.path("hotsvc.toml")); err != nil {
		m.file("hotsvc.toml", "")
	}
	cmd := m.command()
	cmd.Stderr = m
	cmd.Env = append(os.Environ(), "HOTSVC_SOCKET="+m.path("run/control"))
	must(m.T, cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	m.daemon, m.ended = cmd, ended
	m.until("the daemon answers and is synced", func() bool {
		r, err := m.ask()
		if err != nil {
			return false
		}
		for _, s := range r.Sources {
			if s.State != "synced" && s.State != "absent" && s.State != "failed" {
				return false
			}
		}
		return len(r.Sources) > 0
	})
}

// quit ends the daemon by a signal and waits for it.
func (m *machine) quit(sig syscall.Signal) {
	m.Helper()
	must(m.T, m.daemon.Process.Signal(sig))
	select {
	case <-m.ended:
	case <-time.After(15 * time.Second):
		m.Fatalf("the daemon is still there 15 s after %v", sig)
	}
	m.daemon = nil
}

// hsctl is a command of hsctl that is not started yet.
func (m *machine) hsctl(args ...string) *exec.Cmd {
	cmd := exec.Command(program("hsctl"), args...)
	cmd.Env = append(os.Environ(), "HOTSVC_SOCKET="+m.path("run/control"))
	return cmd
}

// try runs hsctl and returns both outputs and the exit status.
func (m *machine) try(args ...string) (string, int) {
	m.Helper()
	out, err := m.hsctl(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.Fatalf("hsctl %v: %v", args, err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// do runs hsctl, which must succeed.
func (m *machine) do(args ...string) string { m.Helper(); return m.fails(0, args...) }

// fails runs hsctl, which must exit with that status.
func (m *machine) fails(status int, args ...string) string {
	m.Helper()
	out, code := m.try(args...)
	if code != status {
		m.Fatalf("hsctl %s: exit %d, want %d:\n%s", strings.Join(args, " "), code, status, out)
	}
	return out
}

func (m *machine) ask(names ...string) (status.Report, error) {
	var r status.Report
	out, err := m.hsctl(append([]string{"--json", "status"}, names...)...).Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

func (m *machine) report() status.Report {
	m.Helper()
	r, err := m.ask()
	must(m.T, err)
	return r
}

// get is one service as status shows it.
func (m *machine) get(name string) status.Service {
	m.Helper()
	r, err := m.ask(name)
	if err != nil || len(r.Services) != 1 {
		m.Fatalf("status of %s: %v: %+v", name, err, r.Services)
	}
	return r.Services[0]
}

// is waits until a service is in a state, and returns it so.
func (m *machine) is(name, state string) (s status.Service) {
	m.Helper()
	m.until(name+" "+state, func() bool { s = m.get(name); return s.State == state })
	return s
}

// pid of a service that is to be up.
func (m *machine) pid(name string) int {
	m.Helper()
	s := m.is(name, "up")
	if s.Pid == nil {
		m.Fatalf("%s is up without a process: %+v", name, s)
	}
	return *s.Pid
}

// until waits for what must come true in time, and shows the world if it does not.
func (m *machine) until(what string, cond func() bool) {
	m.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			out, _ := m.try("status")
			m.Fatalf("not in time: %s\n%s", what, out)
		}
	}
}

// never looks for a while that something does not come about. What it waits for
// cannot be seen, so it is the one place that needs a time of its own.
func (m *machine) never(what string, d time.Duration, cond func() bool) {
	m.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if cond() {
			m.Fatalf("it came about: %s", what)
		}
	}
}

// lines of a file that services write to; none if it is not there.
func (m *machine) lines(name string) []string {
	b, _ := os.ReadFile(m.path(name))
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func (m *machine) gone(pid int) {
	m.Helper()
	m.until(fmt.Sprintf("process %d is gone", pid), func() bool { return !alive(pid) })
}

// alive tells whether a process is there, and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after != "" && after[0] != 'Z' && after[0] != 'X'
}

// descendants lists the living ones; what is orphaned comes to us.
func descendants(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				if alive(child) {
					all = append(all, child)
				}
				all = append(all, descendants(child)...)
			}
		}
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
