package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// screen is a pseudo terminal with a name in a /dev of its own, and what came out
// of it so far.
type screen struct {
	*os.File
	mu   sync.Mutex
	seen bytes.Buffer
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// dev gives the machine a /dev with nothing of the real one but null and zero.
func (m *machine) dev() {
	m.Helper()
	for _, name := range []string{"null", "zero"} {
		must(m.T, os.WriteFile(m.Path("dev-"+name), nil, 0o600))
		must(m.T, unix.Mount("/dev/"+name, m.Path("dev-"+name), "", unix.MS_BIND, ""))
	}
	must(m.T, unix.Mount("tmpfs", "/dev", "tmpfs", 0, "mode=755"))
	must(m.T, os.Mkdir("/dev/pts", 0o755))
	must(m.T, unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620"))
	must(m.T, os.Symlink("pts/ptmx", "/dev/ptmx"))
	for _, name := range []string{"null", "zero"} {
		must(m.T, os.WriteFile("/dev/"+name, nil, 0o600))
		must(m.T, unix.Mount(m.Path("dev-"+name), "/dev/"+name, "", unix.MS_BIND, ""))
		must(m.T, unix.Unmount(m.Path("dev-"+name), unix.MNT_DETACH))
	}
}

// terminal makes one.
func (m *machine) terminal(name string) *screen {
	m.Helper()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(m.T, err)
	s := &screen{File: file}
	must(m.T, unix.IoctlSetPointerInt(int(file.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPTN)
	must(m.T, err)
	pts := "/dev/pts/" + itoa(number)
	slave, err := os.OpenFile(pts, os.O_RDWR|unix.O_NOCTTY, 0) // so that reading does not fail while nobody has it
	must(m.T, err)
	must(m.T, os.WriteFile("/dev/"+name, nil, 0o600))
	must(m.T, unix.Mount(pts, "/dev/"+name, "", unix.MS_BIND, ""))
	m.Cleanup(func() { slave.Close(); file.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := file.Read(buffer)
			s.mu.Lock()
			s.seen.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// device has the kernel tell of a device.
func (m *machine) device(action, subsystem, name string) {
	m.Helper()
	path := "/devices/virtual/" + subsystem + "/" + name
	if m.uevents(strings.Join([]string{action + "@" + path, "ACTION=" + action, "DEVPATH=" + path, "SUBSYSTEM=" + subsystem, "DEVNAME=" + name, ""}, "\x00")) != 0 {
		m.Skip("no uevents to inject here")
	}
}

func TestShippedLoginIsThereWhileTheLineIs(t *testing.T) {
	for kind, program := range map[string]string{"agetty": "/sbin/agetty", "getty": applets + "/getty", "busybox": "/bin/busybox"} {
		t.Run(kind, func(t *testing.T) {
			shipped(t, "/run/bin", func(m *machine) {
				where, err := filepath.EvalSymlinks(program)
				if err != nil {
					m.Skip("no ", program)
				}
				must(m.T, os.Mkdir("/run/bin", 0o755))
				must(m.T, os.Symlink(where, "/run/bin/"+kind))
				m.put("/etc/issue", "")
				m.dev()
				line := m.terminal("ttyT0")
				m.boot()
				m.do("start", "getty@ttyT0", "--no-wait")
				m.Is("getty@ttyT0", "waiting") // nothing sleeps until the line may be there
				m.device("add", "tty", "ttyT0")
				m.Until("somebody is asked for a name", func() bool { return strings.Contains(line.text(), "login:") })
				pid := m.Main("getty@ttyT0")
				m.device("remove", "tty", "ttyT0")
				m.Gone(pid)
				m.Is("getty@ttyT0", "waiting")
				m.device("add", "tty", "ttyT0")
				m.Until("asked again", func() bool { return strings.Count(line.text(), "login:") == 2 })
				m.Is("getty@ttyT0", "up")
				if s := m.Get("getty@ttyT0"); s.Failures != 0 || !strings.Contains(s.Description, "("+kind) {
					m.Errorf("%s: %d failures", s.Description, s.Failures)
				}
				m.do("stop", "getty@ttyT0")
			})
		})
	}
}

func TestShippedMeterWritesALineASecondOnItsConsole(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		m.dev()
		console := m.terminal("tty9")
		m.boot()
		m.device("add", "tty", "tty9")
		m.do("start", "nmeter")
		m.Until("two lines", func() bool { return strings.Count(console.text(), "\n") >= 2 })
		for _, line := range strings.SplitAfter(console.text(), "\n")[:2] {
			if len(line) < 40 || strings.Contains(line, "rror") || strings.Contains(line, "sage") {
				m.Errorf("a line says %q", line)
			}
		}
		m.stays("nmeter")
	})
}

func TestShippedMouseServerIsThereWhileTheMiceAre(t *testing.T) {
	shipped(t, debian, func(m *machine) {
		m.dev()
		m.terminal("tty0")
		must(m.T, os.Mkdir("/dev/input", 0o755))
		m.terminal("input/mice")
		m.boot()
		m.do("start", "gpm", "--no-wait")
		m.Is("gpm", "waiting")
		m.device("add", "input", "mice")
		// A terminal is no console: it has the mice, and would go no further.
		m.Until("it has opened the mice", func() bool {
			files, _ := filepath.Glob("/proc/" + itoa(m.Main("gpm")) + "/fd/*")
			return slices.ContainsFunc(files, func(f string) bool { to, _ := os.Readlink(f); return to == "/dev/input/mice" })
		})
		m.stays("gpm")
	})
}
