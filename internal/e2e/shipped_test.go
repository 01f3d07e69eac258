package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/services"
)

// What is shipped runs here as it is shipped: with the real programs, below the
// directories and ports that the files name.

// The kinds of programs that scripts/programs has.
const (
	debian  = "/mnt/debian"
	applets = "/mnt/busybox" // those that Debian's busybox leaves out
)

// shipped runs a story on a machine with etc, srv, run and var/lib of its own, and
// no programs of this one's sbin: those of the kinds named come first in PATH.
func shipped(t *testing.T, kind string, story func(m *machine)) {
	t.Parallel()
	root := programs(t)
	livetest.Namespace(t, func(t *testing.T) {
		mountCgroups(t)
		story(furnished(t, root, kind))
	})
}

// shippedAsRoot is for what runs as another user.
func shippedAsRoot(t *testing.T, kind string, story func(m *machine)) {
	t.Parallel()
	root := programs(t)
	livetest.Root(t, func(t *testing.T) {
		mountCgroups(t)
		story(furnished(t, root, kind))
	})
}

// programs is the directory that has them.
func programs(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("../../scripts/programs").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Skip(strings.TrimSpace(string(exit.Stderr)))
	}
	must(t, err)
	return strings.TrimSpace(string(out))
}

func furnished(t *testing.T, root, kind string) *machine {
	m := newMachine(t)
	must(t, unix.Mount(root, "/mnt", "", unix.MS_BIND, ""))
	kept := map[string][]byte{} // what programs look for in /etc, besides what the story puts there
	for _, name := range []string{"passwd", "nsswitch.conf", "ld.so.cache", "protocols"} {
		kept[name], _ = os.ReadFile("/etc/" + name)
	}
	for _, dir := range []string{"/etc", "/srv", "/run", "/var/lib"} {
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	}
	for name, text := range kept {
		m.put("/etc/"+name, string(text))
	}
	m.put("/etc/group", "root:x:0:\nnogroup:x:65534:\n") // no tty: its number may not be one here
	m.put("/etc/services", "echo 7/tcp\nntp 123/udp\n")
	m.put("/etc/hosts", "127.0.0.1 localhost\n")
	must(t, os.MkdirAll("/run/hotsvc", 0o755))
	must(t, os.Symlink(m.Path("run/control"), "/run/hotsvc/control")) // where hsctl in a service looks
	os.Setenv("PATH", strings.Join([]string{kind, filepath.Dir(livetest.Program("hsctl")), "/usr/bin", "/bin"}, ":"))
	m.link("lo", netlink.LinkSetUp)
	return m
}

// put writes a file anywhere.
func (m *machine) put(name, text string) {
	m.Helper()
	must(m.T, os.MkdirAll(filepath.Dir(name), 0o755))
	must(m.T, os.WriteFile(name, []byte(text), 0o644))
}

// change takes a shipped service with something changed in its text.
func (m *machine) change(file, from, to string) {
	m.Helper()
	text, err := services.FS.ReadFile(file)
	must(m.T, err)
	if !strings.Contains(string(text), from) {
		m.Fatalf("%s does not say %s", file, from)
	}
	name, _, _ := strings.Cut(filepath.Base(file), "@") // both have one: a variant, a template
	if strings.Contains(string(text), "{instance}") {
		name += "@"
	}
	m.service(name, strings.Replace(string(text), from, to, 1))
}

// stays makes sure that a service that is up has not been started again, and that
// it ends when it is told to: KILL comes after ten seconds, where the file says nothing.
func (m *machine) stays(name string) {
	m.Helper()
	pid := m.Main(name)
	if s := m.Get(name); s.Restarts != 0 || s.Failures != 0 {
		m.Errorf("%s was restarted: %+v", name, s)
	}
	began := time.Now()
	m.do("stop", name)
	if d := time.Since(began); d > 5*time.Second || livetest.Alive(pid) {
		m.Errorf("%s was stopped in %v: %+v", name, d, m.Get(name).Exit)
	}
}

// dial waits until a port answers.
func (m *machine) dial(port int) net.Conn {
	m.Helper()
	var c net.Conn
	m.Until(fmt.Sprintf("port %d answers", port), func() (ok bool) {
		var err error
		c, err = net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		return err == nil
	})
	c.SetDeadline(time.Now().Add(10 * time.Second))
	m.Cleanup(func() { c.Close() })
	return c
}

// talk sends lines, and wants the answer to each to begin so.
func (m *machine) talk(c net.Conn, pairs ...string) {
	m.Helper()
	buffer := make([]byte, 4096)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != "" {
			_, err := io.WriteString(c, pairs[i]+"\r\n")
			must(m.T, err)
		}
		n, err := c.Read(buffer)
		if got := string(buffer[:n]); err != nil || !strings.HasPrefix(got, pairs[i+1]) {
			m.Fatalf("%q is answered by %q, not %q: %v", pairs[i], got, pairs[i+1], err)
		}
	}
}

// ofNobody makes sure that a process owns nothing and gains nothing.
func (m *machine) ofNobody(pid int) {
	m.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(m.T, err)
	for _, line := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(string(text), line) {
			m.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestShippedFirewallAskedWhileItRunsRunsOnceMore(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		m.put("/etc/hotsvc/fw", "#!/bin/sh\necho begin >>"+m.Path("journal")+"\nwhile [ ! -e "+m.Path("go")+" ]; do sleep 0.05; done\necho end >>"+m.Path("journal")+"\n")
		m.boot()
		if out := m.fails(1, "start", "fw"); !strings.Contains(out, "permission denied") {
			m.Errorf("not executable:\n%s", out)
		}
		must(m.T, os.Chmod("/etc/hotsvc/fw", 0o755))
		m.do("start", "fw", "--no-wait")
		m.Until("it runs", func() bool { return m.lines("journal")[0] == "begin" })
		for range 3 { // the second and the third are the same as the first: that run has not begun
			m.do("restart", "fw", "--no-wait")
		}
		m.never("it is cut short, or another one beside it", quiet, func() bool { return len(m.lines("journal")) != 1 })
		m.file("go", "")
		m.Is("fw", "up")
		if got := strings.Join(m.lines("journal"), ","); got != "begin,end,begin,end" {
			m.Errorf("the runs were %s", got)
		}
		m.do("restart", "fw")
		if n := len(m.lines("journal")); n != 6 {
			m.Errorf("asked again: %v", m.lines("journal"))
		}
		m.do("stop", "fw")
		if n := len(m.lines("journal")); n != 6 {
			m.Errorf("a stop undoes nothing: %v", m.lines("journal"))
		}
	})
}

func TestExampleRuleRunsTheFirewallAgainWhenTheWayOutIsAnother(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		rules, err := os.ReadFile("../../rules/examples/rules.d/uplink.toml")
		must(m.T, err)
		m.rules(string(rules))
		m.put("/etc/hotsvc/fw", "#!/bin/sh\nip -4 route show default >>"+m.Path("journal")+"\n")
		must(m.T, os.Chmod("/etc/hotsvc/fw", 0o755))
		m.boot()
		m.uplink("wan0")
		m.Is("fw", "up")
		m.link("wan0", func(l netlink.Link) error {
			return netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 3)})
		})
		m.Until("it has run for the second router, too", func() bool {
			got := m.lines("journal")
			return strings.Contains(got[0], "192.0.2.2") && strings.Contains(got[len(got)-1], "192.0.2.3")
		})
		m.address(nil, "wan0", "192.0.2.9/24")
		m.Until("and for the second address", func() bool { return len(m.lines("journal")) == 3 })
	})
}

func TestShippedServiceWithoutItsProgramFailsWithOneLine(t *testing.T) {
	shipped(t, "/nowhere", func(m *machine) {
		must(m.T, os.Mkdir("/srv/http", 0o755))
		m.boot()
		if out := m.do("status"); !strings.Contains(out, "no services now") {
			m.Errorf("nobody has asked for any of them:\n%s", out)
		}
		for name, why := range map[string]string{
			"httpd": "httpd: not in PATH", "dnsmasq": "dnsmasq: not in PATH", "inetd": "inetd: not in PATH",
			"ftpd": "vsftpd: not in PATH", "fw": "/etc/hotsvc/fw: no such file",
		} {
			if out := m.fails(1, "start", name); !strings.Contains(out, why) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
				m.Errorf("start %s:\n%s", name, out)
			}
			m.Is(name, "failed")
		}
	})
}
