// Package e2e_test runs the real daemon and the real hsctl, each test in
// namespaces of its own, and looks at what a person would see.
package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/status"
)

func TestMain(m *testing.M) { os.Exit(livetest.Build(m, nil)) }

// machine is a small computer, as a person sits at it.
type machine struct {
	*livetest.Machine
	args []string // of the daemon, besides the directories
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
	m := &machine{Machine: livetest.New(t)}
	for _, d := range []string{"rules.d", "services"} {
		must(t, os.Mkdir(m.Path(d), 0o755))
	}
	return m
}

// file writes a file; a service or rule file is m.service or m.rules.
func (m *machine) file(name, text string) string { m.Helper(); return m.File(name, text, 0o644) }
func (m *machine) service(name, text string)     { m.Helper(); m.file("services/"+name+".toml", text) }
func (m *machine) rules(text string)             { m.Helper(); m.file("rules.d/50-test.toml", text) }

// command is the daemon with its directories.
func (m *machine) command(more ...string) *exec.Cmd {
	args := append([]string{"--config", m.Path("hotsvc.toml"), "--rules", m.Path("rules.d"), "--services", m.Path("services"),
		"--run-dir", m.Path("run"), "--log-dir", m.Path("log")}, m.args...)
	return exec.Command(livetest.Program("hotsvc"), append(args, more...)...)
}

// boot starts the daemon and returns when it answers and knows the hardware.
func (m *machine) boot() {
	m.Helper()
	if _, err := os.Stat(m.Path("hotsvc.toml")); err != nil {
		m.file("hotsvc.toml", "")
	}
	m.Start(m.command())
}

// hsctl is a command of hsctl that is not started yet.
func (m *machine) hsctl(args ...string) *exec.Cmd { return m.Command("hsctl", args...) }

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

func (m *machine) report() status.Report {
	m.Helper()
	r, err := m.Report()
	must(m.T, err)
	return r
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
	b, _ := os.ReadFile(m.Path(name))
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
