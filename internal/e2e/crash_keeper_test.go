package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keeper starts the daemon again whenever it dies, as an init would.
type keeper struct {
	m     *machine
	start func(*exec.Cmd) error
	done  chan struct{} // it ended in order

	mu    sync.Mutex
	cmd   *exec.Cmd
	lives int
}

// keep starts the daemon, and each one after it, by start.
func (m *machine) keep(start func(*exec.Cmd) error) *keeper {
	m.Helper()
	m.file("hotsvc.toml", "")
	k := &keeper{m: m, start: start, done: make(chan struct{})}
	must(m.T, k.next())
	m.Cleanup(func() { // a story that failed has not ended it
		for range 100 {
			k.signal(syscall.SIGTERM)
			select {
			case <-k.done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	go func() {
		defer close(k.done)
		for {
			var exit *exec.ExitError
			if err := k.cmd.Wait(); !errors.As(err, &exit) {
				return
			}
			if err := k.next(); err != nil {
				m.Errorf("the next daemon: %v", err)
				return
			}
		}
	}()
	return k
}

func (k *keeper) next() error {
	cmd := k.m.command()
	said, err := os.OpenFile(k.m.Path("said"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stderr = said // a pipe would have to wait for a child that is just being born
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cmd = cmd
	k.lives++
	return k.start(cmd)
}

func (k *keeper) pid() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cmd.Process.Pid
}

// born counts the daemons so far.
func (k *keeper) born() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lives
}

// signal reaches the present daemon, and nobody who has got its pid since.
func (k *keeper) signal(sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cmd.Process.Signal(sig)
}

// stop ends the daemon in order, however often it dies of that.
func (k *keeper) stop() {
	k.m.Helper()
	told := 0
	k.m.Until("the daemon ends in order", func() bool {
		select {
		case <-k.done:
			return true
		default:
		}
		if pid := k.pid(); pid != told {
			if _, err := k.m.Report(); err == nil && k.pid() == pid {
				k.signal(syscall.SIGTERM)
				told = pid
			}
		}
		return false
	})
}

// servant is a script for services that mind their own business. They note in
// the journal what they do, and if another of their name is there. They say READY
// on descriptor 3, if that is open. They have a child, unless they are to become
// another program.
func (m *machine) servant() string {
	path := m.file("servant", fmt.Sprintf(`#!/bin/sh
cd %s
{ read -r p <pid-$1 && read -r _ _ st _ </proc/$p/stat && test $st != Z && echo twice $1 >>journal; } 2>/dev/null
echo $$ >pid-$1
echo start $1 >>journal
trap 'echo end $1 >>journal; exit 0' TERM
{ echo >&3; } 2>/dev/null
test -z "$2" || exec $2
sleep 1000 &
wait
`, m.Dir))
	must(m.T, os.Chmod(path, 0o755))
	return path
}

// insist asks until a daemon has answered, and tells how often it had to be
// asked: what must not be done twice, hsctl does not ask twice by itself.
func (m *machine) insist(args ...string) (asked int) {
	m.Helper()
	for asked = 1; asked < 10; asked++ {
		out, code := m.try(args...)
		switch {
		case code == 0:
			return asked
		case code != 111 || !strings.Contains(out, "went away before it answered") && !strings.Contains(out, "no daemon on"):
			m.Fatalf("hsctl %s: exit %d:\n%s", strings.Join(args, " "), code, out)
		}
		m.Until("a daemon answers", func() bool { _, err := m.Report(); return err == nil })
	}
	m.Fatalf("hsctl %s: nobody answers", strings.Join(args, " "))
	return asked
}

func parentOf(pid int) (parent int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	if f := strings.Fields(after); len(f) > 1 {
		fmt.Sscan(f[1], &parent)
	}
	return parent
}

func argv(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(strings.TrimRight(string(text), "\x00"), "\x00", " ")
}
