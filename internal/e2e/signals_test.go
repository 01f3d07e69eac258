package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// As where the log's reader restarts: what is said is lost, what runs is not.
func TestDaemonOutlivesTheReaderOfItsLog(t *testing.T) {
	live(t, func(m *machine) {
		m.file("hotsvc.toml", "")
		m.service("a", `exec_start = ["sleep", "1000"]`)
		cmd := m.command()
		r, w, err := os.Pipe()
		must(m.T, err)
		cmd.Stderr = w
		must(m.T, r.Close())
		must(m.T, cmd.Start())
		w.Close()
		m.daemon, m.ended = cmd, make(chan struct{})
		go func() { cmd.Wait(); close(m.ended) }()
		m.until("it answers", func() bool { _, err := m.ask(); return err == nil })
		m.do("start", "a")
		m.pid("a")
	})
}

// A service that finds PIPE or INT ignored never dies in a pipeline, or of ^C.
func TestServicesBeginWithDefaultSignals(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sh", "-c", "grep ^Sig /proc/self/status >`+m.path("signals")+`; exec sleep 1000"]`)
		// The daemon itself is begun as a shell begins what runs in the background.
		m.file("hotsvc.toml", "")
		daemon := m.command()
		cmd := exec.Command("sh", append([]string{"-c", `trap '' INT QUIT PIPE HUP; exec "$0" "$@"`}, daemon.Args...)...)
		cmd.Stderr = m
		must(m.T, cmd.Start())
		m.daemon, m.ended = cmd, make(chan struct{})
		go func() { cmd.Wait(); close(m.ended) }()
		m.until("it answers", func() bool { _, err := m.ask(); return err == nil })
		m.do("start", "a")
		m.until("told", func() bool { return len(m.lines("signals")) >= 4 })
		for _, line := range m.lines("signals") {
			if name, set, _ := strings.Cut(line, ":\t"); (name == "SigIgn" || name == "SigBlk") && strings.Trim(set, "0") != "" {
				m.Errorf("%s is %s", name, set)
			}
		}
	})
}
