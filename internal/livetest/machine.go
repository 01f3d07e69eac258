package livetest

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

	"hotsvc/internal/status"
)

// programs names the directory of the programs to the second run of a test.
const programs = "HOTSVC_LIVETEST_PROGRAMS"

// Build is what a TestMain does: it builds hotsvc and hsctl, links the names to
// hsctl, and runs the tests. It returns the exit status.
func Build(m *testing.M, names []string) int {
	flag.Parse()
	flag.Set("test.parallel", "6") // they wait most of the time
	if os.Getenv(programs) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "hotsvc-live-")
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
	for _, name := range names {
		if err := os.Symlink("hsctl", filepath.Join(dir, name)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	os.Chmod(dir, 0o755) // an unprivileged run of a test must be able to read it
	os.Setenv(programs, dir)
	return m.Run()
}

// Program is where one of the programs that were built is.
func Program(name string) string { return filepath.Join(os.Getenv(programs), name) }

// Machine is a small computer: its own links, directories and daemon.
type Machine struct {
	*testing.T
	Dir string
	Env []string // of the commands that are run, beside the machine's own

	daemon *exec.Cmd
	ended  chan struct{}
	mu     sync.Mutex
	said   bytes.Buffer // by the daemons, on stderr
}

// Live runs a story on a machine of its own, beside the other tests.
func Live(t *testing.T, story func(m *Machine)) {
	t.Parallel()
	Namespace(t, func(t *testing.T) {
		m := New(t)
		m.File("rules.d/none", "", 0o644)
		story(m)
	})
}

// New is a machine with an empty directory, in the namespaces of the test.
func New(t *testing.T) *Machine {
	// Orphans come to us, so that none outlives its test. We reap nobody: the
	// daemon must live with that, as in a container whose first process does not.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	m := &Machine{T: t, Dir: t.TempDir()}
	os.Chmod(m.Dir, 0o755)
	t.Cleanup(m.tidy)
	return m
}

// tidy ends the daemon, and then whatever is left of what the test began.
func (m *Machine) tidy() {
	if m.daemon != nil {
		m.Quit()
	}
	for range 100 {
		left := Descendants(os.Getpid())
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if m.Failed() {
		m.Logf("the daemon said:\n%s", m.Said())
	}
}

// Said is what all daemons so far have said.
func (m *Machine) Said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.String()
}

// Write takes what the daemon says.
func (m *Machine) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.Write(b)
}

// Path is a file of the machine's.
func (m *Machine) Path(name string) string { return filepath.Join(m.Dir, name) }

// File writes a file and returns where it is.
func (m *Machine) File(name, text string, mode os.FileMode) string {
	m.Helper()
	path := m.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.Fatal(err)
	}
	return path
}

// Script writes a shell script that can be executed.
func (m *Machine) Script(name, text string) string {
	m.Helper()
	return m.File(name, "#!/bin/sh\n"+text+"\n", 0o755)
}

// Lines are those of a file; none if it is not there.
func (m *Machine) Lines(name string) []string {
	b, _ := os.ReadFile(m.Path(name))
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// Command is one that is not started yet, of the programs that were built or of
// the system.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	bin := os.Getenv(programs)
	if _, err := os.Lstat(filepath.Join(bin, name)); err == nil {
		name = filepath.Join(bin, name)
	}
	cmd := exec.Command(name, args...)
	cmd.Args[0] = filepath.Base(name) // as from a shell
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOTSVC_SOCKET="+m.Path("run/control"))
	cmd.Env = append(cmd.Env, m.Env...)
	return cmd
}

// Boot starts a daemon that reads these services, and returns when it answers.
func (m *Machine) Boot(services ...string) {
	m.Helper()
	settings := m.File("hotsvc.toml", "services = [\""+strings.Join(services, "\", \"")+"\"]\n", 0o644)
	m.Start(m.Command("hotsvc", "--config", settings, "--rules", m.Path("rules.d"), "--run-dir", m.Path("run"), "--log-dir", m.Path("log")))
}

// Start starts a command that is to be the daemon, and returns when it answers and
// knows the hardware.
func (m *Machine) Start(cmd *exec.Cmd) {
	m.Helper()
	m.Launch(cmd)
	m.Until("the daemon answers and knows the hardware", func() bool {
		select {
		case <-m.ended:
			m.daemon = nil
			m.Fatal("the daemon ends at once")
		default:
		}
		r, err := m.Report()
		for _, s := range r.Sources {
			if s.State != "synced" && s.State != "absent" && s.State != "failed" {
				return false
			}
		}
		return err == nil && len(r.Sources) > 0
	})
}

// Launch starts it and does not wait.
func (m *Machine) Launch(cmd *exec.Cmd) {
	m.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = m
	}
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	m.daemon, m.ended = cmd, ended
}

// Quit ends the daemon, and with it the services.
func (m *Machine) Quit() { m.Helper(); m.End(unix.SIGTERM) }

// Crash ends the daemon and nothing else.
func (m *Machine) Crash() { m.Helper(); m.End(unix.SIGKILL) }

// End signals the daemon and waits until it is gone.
func (m *Machine) End(sig syscall.Signal) {
	m.Helper()
	m.Signal(sig)
	m.Ended()
}

// Ended waits until the daemon is gone.
func (m *Machine) Ended() {
	m.Helper()
	select {
	case <-m.ended:
	case <-time.After(30 * time.Second):
		m.Errorf("the daemon does not end")
	}
	m.daemon = nil
}

// Signal reaches the daemon.
func (m *Machine) Signal(sig syscall.Signal) {
	m.Helper()
	if err := m.daemon.Process.Signal(sig); err != nil {
		m.Fatal(err)
	}
}

// Pid is the daemon's.
func (m *Machine) Pid() int { return m.daemon.Process.Pid }

// Result is what a command said, and its exit status.
type Result struct {
	Out, Err string
	Exit     int
}

// Run runs a command to its end.
func (m *Machine) Run(name string, args ...string) Result {
	m.Helper()
	return m.Finish(m.Command(name, args...))
}

// Finish runs one that was made before.
func (m *Machine) Finish(cmd *exec.Cmd) Result {
	m.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		m.Fatalf("%v: %v", cmd.Args, e)
	}
	return Result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// Says runs a command that must say exactly that and exit so.
func (m *Machine) Says(exit int, stdout, stderr string, name string, args ...string) {
	m.Helper()
	if got, want := m.Run(name, args...), (Result{stdout, stderr, exit}); got != want {
		m.Fatalf("%s %s:\n got %+v\nwant %+v", name, strings.Join(args, " "), got, want)
	}
}

// Report is hsctl's.
func (m *Machine) Report(names ...string) (r status.Report, err error) {
	out, err := m.Command("hsctl", append([]string{"--json", "status"}, names...)...).Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// Get is one service as hsctl status shows it.
func (m *Machine) Get(name string) status.Service {
	m.Helper()
	r, err := m.Report(name)
	if err != nil || len(r.Services) != 1 {
		m.Fatalf("status of %s: %v: %+v", name, err, r.Services)
	}
	return r.Services[0]
}

// Is waits until a service is in a state, and returns it so.
func (m *Machine) Is(name, state string) (s status.Service) {
	m.Helper()
	m.Until(name+" "+state, func() bool { s = m.Get(name); return s.State == state })
	return s
}

// Main is the main process of a service that is to be up.
func (m *Machine) Main(name string) int {
	m.Helper()
	s := m.Is(name, "up")
	if s.Pid == nil {
		m.Fatalf("%s is up without a process: %+v", name, s)
	}
	return *s.Pid
}

// Gone waits until a process is gone.
func (m *Machine) Gone(pid int) {
	m.Helper()
	m.Until(fmt.Sprintf("process %d is gone", pid), func() bool { return !Alive(pid) })
}

// Until waits for what must come true in time, and shows the world if it does not.
func (m *Machine) Until(what string, cond func() bool) {
	m.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.Fatalf("not in time: %s\n%s", what, m.Run("hsctl", "status").Out)
		}
	}
}

// Alive tells whether a process is there, and no zombie.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after != "" && after[0] != 'Z' && after[0] != 'X'
}

// Descendants lists the living ones; what is orphaned comes to us.
func Descendants(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				if Alive(child) {
					all = append(all, child)
				}
				all = append(all, Descendants(child)...)
			}
		}
	}
	return all
}
