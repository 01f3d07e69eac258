package e2e_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
		m.Start(cmd)
		w.Close()
		m.do("start", "a")
		m.Main("a")
	})
}

// A service that finds PIPE or INT ignored never dies in a pipeline, or of ^C.
func TestServicesBeginWithDefaultSignals(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sh", "-c", "grep ^Sig /proc/self/status >`+m.Path("signals")+`; exec sleep 1000"]`)
		// The daemon itself is begun as a shell begins what runs in the background.
		m.file("hotsvc.toml", "")
		daemon := m.command()
		m.Start(exec.Command("sh", append([]string{"-c", `trap '' INT QUIT PIPE HUP; exec "$0" "$@"`}, daemon.Args...)...))
		m.do("start", "a")
		m.Until("told", func() bool { return len(m.lines("signals")) >= 4 })
		for _, line := range m.lines("signals") {
			name, text, _ := strings.Cut(line, ":\t")
			set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			const ordinary = 1<<31 - 1 // those above are the C library's own, and whoever began this test may ignore one
			if (name == "SigIgn" || name == "SigBlk") && (err != nil || set&ordinary != 0) {
				m.Errorf("%s is %s", name, text)
			}
		}
	})
}

// Nothing of the daemon's own is handed down: no descriptor, no odd umask.
func TestServicesBeginClean(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		m.service("a", `exec_start = ["sh", "-c", "umask >`+m.Path("umask")+`; exec sleep 1000"]`)
		syscall.Umask(0o077)
		m.boot()
		syscall.Umask(0o022)
		m.do("start", "a")
		pid := m.Main("a")
		m.Until("told", func() bool { return m.lines("umask")[0] != "" })
		if got := m.lines("umask")[0]; got != "0022" {
			m.Errorf("umask %s", got)
		}
		fds, err := os.ReadDir("/proc/" + itoa(pid) + "/fd")
		must(m.T, err)
		for _, fd := range fds {
			to, _ := os.Readlink("/proc/" + itoa(pid) + "/fd/" + fd.Name())
			switch {
			case fd.Name() == "0" && to == "/dev/null", (fd.Name() == "1" || fd.Name() == "2") && to == m.Path("run/output/a.fifo"):
			case strings.HasPrefix(to, m.Path("run/run")): // the mark, where there are no cgroups
			default:
				m.Errorf("descriptor %s is %s", fd.Name(), to)
			}
		}
		if sid, err := unix.Getsid(pid); err != nil || sid != pid {
			m.Errorf("session %d of pid %d: %v", sid, pid, err)
		}
		for _, dir := range []string{"run", "log", "run/svc"} {
			if info, err := os.Stat(m.Path(dir)); err != nil || info.Mode()&0o022 != 0 {
				m.Errorf("%s: %v", dir, info.Mode())
			}
		}
	})
}
