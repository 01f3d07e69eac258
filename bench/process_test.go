package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
	"hotsvc/internal/status"
)

// clock is what the service looks at too.
func clock() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// ear is where the services say when they began.
type ear struct {
	path string
	fifo *os.File
}

func newEar(name string) (*ear, error) {
	e := &ear{path: filepath.Join(work, name)}
	if err := unix.Mkfifo(e.path, 0o600); err != nil {
		return nil, err
	}
	var err error
	e.fifo, err = os.OpenFile(e.path, os.O_RDWR|unix.O_NONBLOCK, 0) // RDWR: there is always a writer
	return e, err
}

// hear waits for n services and returns when the last one began.
func (e *ear) hear(n int) (last int64, pids []int, err error) {
	if err := e.fifo.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	said := make([]byte, 16)
	for range n {
		if _, err := readFull(e.fifo, said); err != nil {
			return 0, nil, fmt.Errorf("%d of %d services began: %w", len(pids), n, err)
		}
		last = max(last, int64(binary.NativeEndian.Uint64(said)))
		pids = append(pids, int(binary.NativeEndian.Uint64(said[8:])))
	}
	return last, pids, nil
}

func readFull(f *os.File, b []byte) (int, error) {
	for n := 0; ; {
		m, err := f.Read(b[n:])
		if n += m; n == len(b) || err != nil {
			return n, err
		}
	}
}

// gone waits until processes have ended.
func gone(pids []int) error {
	for deadline := time.Now().Add(30 * time.Second); len(pids) > 0; time.Sleep(time.Millisecond) {
		if syscall.Kill(pids[0], 0) == syscall.ESRCH {
			pids = pids[1:]
		} else if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not end", pids[0])
		}
	}
	return nil
}

// helper is a C program in a process group of its own.
type helper struct {
	cmd *exec.Cmd
	in  *os.File
}

// startHelper returns when the program says that it is ready.
func startHelper(name string, args ...string) (*helper, error) {
	h := &helper{cmd: exec.Command(filepath.Join(*tools, name), args...)}
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	h.cmd.Stderr = os.Stderr
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.in = in.(*os.File)
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		h.end()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}

// end kills the program and what it started.
func (h *helper) end() {
	syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
	h.cmd.Wait()
}

// daemon is a hotsvc with its own configuration.
type daemon struct {
	cmd *exec.Cmd
	dir string
	log bytes.Buffer
}

// startDaemon returns when the daemon has heard of all that there is.
func startDaemon(name string, files map[string]string) (*daemon, error) {
	d := &daemon{dir: filepath.Join(work, name)}
	for _, dir := range []string{"rules", "services"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(d.dir, file), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	at := func(name string) string { return filepath.Join(d.dir, name) }
	d.cmd = exec.Command("bin/hotsvc", "--rules", at("rules"), "--services", at("services"), "--run-dir", at("run"), "--log-dir", at("log"))
	d.cmd.Stderr = &d.log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	cleanup = append(cleanup, d.end)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if d.synced() {
			return d, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("hotsvc does not come up: %s", d.lastWords())
		}
	}
}

func (d *daemon) hsctl(args ...string) ([]byte, error) {
	return exec.Command("bin/hsctl", append([]string{"--socket", filepath.Join(d.dir, "run/control")}, args...)...).Output()
}

func (d *daemon) synced() bool {
	text, err := d.hsctl("status", "--json")
	var report status.Report
	if err != nil || json.Unmarshal(text, &report) != nil || len(report.Sources) == 0 {
		return false
	}
	for _, s := range report.Sources {
		if s.State == object.Starting || s.State == object.Resyncing {
			return false
		}
	}
	return true
}

// lastWords are the last lines of its log.
func (d *daemon) lastWords() string {
	lines := strings.Split(strings.TrimSpace(d.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

func (d *daemon) end() {
	if d.cmd.ProcessState == nil {
		d.cmd.Process.Signal(syscall.SIGTERM)
		d.cmd.Wait()
	}
}

// pss is the daemon's proportional set size in kB.
func (d *daemon) pss() float64 { return d.number("smaps_rollup", "Pss:") }

func (d *daemon) threads() float64 { return d.number("status", "Threads:") }

func (d *daemon) fds() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	return len(entries)
}

func (d *daemon) number(file, key string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, file))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	return 0
}
