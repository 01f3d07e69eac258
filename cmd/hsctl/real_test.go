package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// realDaemon is hotsvc itself, in a network of its own.
type realDaemon struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	deaf bool
}

// TestTranscriptsOnDaemon runs the transcripts on the hotsvc that
// $HSCTL_TEST_DAEMON names.
func TestTranscriptsOnDaemon(t *testing.T) {
	hotsvc := os.Getenv("HSCTL_TEST_DAEMON")
	if hotsvc == "" {
		t.Skip("no daemon to try: HSCTL_TEST_DAEMON names one")
	}
	transcripts(t, func(dir string) (daemon, error) { return startReal(hotsvc, dir) }, "testdata/*.txtar")
}

func startReal(hotsvc, dir string) (daemon, error) {
	// An empty directory of rules, so that the built-in ones do not count.
	if err := os.MkdirAll(filepath.Join(dir, "rules.d"), 0o755); err != nil {
		return nil, err
	}
	d := &realDaemon{cmd: exec.Command(hotsvc, "--rules", dir+"/rules.d", "--services", dir+"/services",
		"--run-dir", dir+"/run", "--log-dir", dir+"/log", "--socket", dir+"/control")}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		d.cmd.SysProcAttr = nil
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for range 250 {
		if c, err := net.Dial("unix", dir+"/control"); err == nil {
			c.Close()
			return d, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.stop()
	return nil, errors.New("hotsvc does not listen: " + d.log.String())
}

// stop ends the daemon with its services; a deaf one crashes.
func (d *realDaemon) stop() {
	if d.deaf {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(30*time.Second, func() { d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		fmt.Fprintf(os.Stderr, "hotsvc: %v\n%s", err, &d.log)
	}
}

// set makes the daemon deaf: it is there and does not answer.
func (d *realDaemon) set(what string) {
	if what == "deaf" {
		d.deaf = true
		d.cmd.Process.Signal(syscall.SIGSTOP)
	}
}
