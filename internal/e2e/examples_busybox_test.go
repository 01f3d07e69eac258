package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// The service directories that come with busybox run here as they are, below the
// directories that their scripts name, and with our programs under the names that
// they call. fw takes the addresses off every link and writes to /etc: never run
// it where there is anything but its own.

const (
	varService = "/var/service" // where the services are, the first place that svc looks
	fakes      = "/var/bin"     // first in PATH
	upstream   = "/mnt/var_service"
)

// examples runs a story on a machine with /etc, /var, /run, /srv and /pub of its
// own, a user logger, and the links dum0 and dum1, which are one cable.
func examples(t *testing.T, story func(m *machine)) {
	t.Parallel()
	lacks(t, "bash")
	lacks(t, "busybox")
	lacks(t, "ip")
	root := programs(t)
	livetest.Root(t, func(t *testing.T) {
		anotherRoot(t)
		mountCgroups(t)
		m := furnished(t, root, applets)
		for _, dir := range []string{"/var/log", "/var/run", varService, fakes, "/pub"} {
			must(t, os.Mkdir(dir, 0o755))
		}
		must(t, unix.Mount("/run", "/var/run", "", unix.MS_BIND, ""))
		m.put("/etc/passwd", "root:x:0:0::/:/bin/sh\nlogger:x:7001:7001::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n")
		m.put("/etc/group", "root:x:0:\nlogger:x:7001:\nnogroup:x:65534:\n")
		for _, name := range []string{"sv", "svc", "svok", "svlogd", "chpst", "setuidgid", "softlimit"} {
			must(t, os.Symlink(livetest.Program("hsctl"), filepath.Join(fakes, name)))
		}
		m.sh("cp " + upstream + "/std_service_logger " + fakes)
		os.Setenv("PATH", fakes+":"+os.Getenv("PATH")+":"+debian)
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "dum0", TxQLen: -1}, PeerName: "dum1"}))
		m.link("dum1", netlink.LinkSetUp)
		m.args = []string{"--services", "runit:" + varService}
		m.Cleanup(func() {
			if m.Failed() {
				m.Log(m.sh("tail -n 20 /var/log/service/*/current || :"))
			}
		})
		story(m)
	})
}

// anotherRoot makes a / with the same in it, but for /var, which is empty, and in
// which directories can be made that are gone with the test.
func anotherRoot(t *testing.T) {
	t.Helper()
	must(t, unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755"))
	entries, err := os.ReadDir("/")
	must(t, err)
	for _, e := range entries {
		from, to := filepath.Join("/", e.Name()), filepath.Join("/mnt", e.Name())
		switch link, err := os.Readlink(from); {
		case err == nil:
			must(t, os.Symlink(link, to))
		case e.IsDir():
			must(t, os.Mkdir(to, 0o755))
			if e.Name() != "mnt" && e.Name() != "var" {
				must(t, unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""))
			}
		}
	}
	must(t, os.Mkdir("/mnt/var/lib", 0o755))
	must(t, unix.Chroot("/mnt"))
	must(t, os.Chdir("/"))
}

// sh runs what a person types, and returns what comes of it.
func (m *machine) sh(text string) string {
	m.Helper()
	out, err := exec.Command("sh", "-c", text).CombinedOutput()
	if err != nil {
		m.Fatalf("%s: %v\n%s", text, err, out)
	}
	return string(out)
}

// example copies a service directory, under its own name or another.
func (m *machine) example(from, to string) {
	m.Helper()
	m.sh("cp -r " + upstream + "/" + from + " " + varService + "/" + to)
}

// fake is a program that the machine lacks, or that must not touch it.
func (m *machine) fake(name, text string) {
	m.Helper()
	m.put(filepath.Join(fakes, name), "#!/bin/sh\n"+text+"\n")
	must(m.T, os.Chmod(filepath.Join(fakes, name), 0o755))
}

// network has what fw and dhcp_if call. There is a lease at once.
func (m *machine) network() {
	m.Helper()
	m.fake("iptables", "while [ -e /run/wait ]; do sleep 0.02; done")
	m.fake("modprobe", `[ "$1" != nf_nat_ftp ] || echo >>/run/fw-runs`)
	m.fake("udhcpc", `for word; do
	case $word in
	--interface=*) export interface="${word#*=}";;
	--script=*) script="${word#*=}";;
	esac
done
"$script" deconfig
export dhcptype=5 serverid=172.16.42.102 lease=97200 ip=172.16.42.177 subnet=255.255.255.0 mask=24 router=172.16.42.98
export dns="10.34.32.125 10.32.63.5" domain=lab.example.com ntpsrv=10.34.32.125
"$script" bound
exec sleep 1000`)
}

// runs is how often fw has got as far as the firewall.
func (m *machine) runs() int {
	b, _ := os.ReadFile("/run/fw-runs")
	return len(b)
}

// says waits until a command's output is as the pattern has it.
func (m *machine) says(command, pattern string) {
	m.Helper()
	re := regexp.MustCompile("^" + pattern + "$")
	var last string
	m.Until(command+" says "+pattern, func() bool {
		if out := m.sh(command); !re.MatchString(out) {
			if out != last {
				m.Logf("%s says %q", command, out)
			}
			last = out
			return false
		}
		return true
	})
}

// has waits until a file has these texts, in this order.
func (m *machine) has(name string, texts ...string) {
	m.Helper()
	m.Until(fmt.Sprintf("%s has %q in this order", name, texts), func() bool {
		b, _ := os.ReadFile(name)
		rest, ok := string(b), true
		for _, text := range texts {
			if ok {
				_, rest, ok = strings.Cut(rest, text)
			}
		}
		return ok
	})
}

const (
	fwDown   = `down: fw: \d+s, normally up\n`
	dhcpUp   = `run: dhcp_dum0: \(pid \d+\) \d+s; run: log: \(pid \d+\) \d+s\n`
	dhcpDown = `down: dhcp_dum0: \d+s, normally up; run: log: \(pid \d+\) \d+s\n`
)

// older makes of the directories what they were before 1.30, in the lines in which
// they differ.
const older = `cd ` + varService + `
sed -i 's/svc -o \./sv o ./' fw/run
sed -i 's,svc -u fw,sv u ` + varService + `/fw,; s/^exec >.dev.null/exec/' dhcp_dum0/dhcp_handler dhcp_dum0/finish
cat >dhcp_dum0/log/run <<'END'
#!/bin/sh
d=/var/log/service/$(cd .. && basename "$PWD")
mkdir -p "$d" && chown -R logger: "$d" && ln -sfn "$d" logdir && chmod a+rX .
exec env - PATH="$PATH" softlimit setuidgid logger svlogd -tt "$d"
END`

func TestBusyboxExamplesConfigureTheNetwork(t *testing.T) {
	for name, change := range map[string]string{"1.35": "", "older": older} {
		t.Run(name, func(t *testing.T) {
			examples(t, func(m *machine) {
				m.network()
				m.example("fw", "fw")
				m.example("dhcp_if", "dhcp_dum0")
				m.sh(change)
				began := time.Now()
				m.boot()
				configured := func() bool { return m.word("dum0", "address4") == "172.16.42.177/24" }
				m.Until("dum0 is configured", configured)
				m.says("sv status fw dhcp_dum0", fwDown+dhcpUp)
				m.Logf("all is up after %v", time.Since(began).Round(time.Millisecond))
				m.configured()
				m.logged(name == "older")
				m.asksOnce()
				m.says("sv status fw dhcp_dum0", fwDown+dhcpUp)

				before, pid := m.runs(), m.Main("dhcp_dum0")
				if out := m.sh(`env - PATH="$PATH" svc -d dhcp_dum0`); out != "" {
					m.Errorf("svc says %q", out)
				}
				m.says("sv status dhcp_dum0 fw", dhcpDown+fwDown)
				m.Until("the address is gone", func() bool { return m.word("dum0", "address4") == "" })
				m.Gone(pid)
				m.has("/var/log/service/dhcp_dum0/current", "Finish: deconfiguring")
				if m.runs() == before {
					m.Error("fw has not run since")
				}
				for _, name := range []string{"/var/run/service/fw/dhcp_dum0.ipconf", varService + "/dhcp_dum0/dhcp_dum0.ipconf", varService + "/dhcp_dum0/env.out"} {
					if _, err := os.Stat(name); err == nil {
						m.Error(name, "is still there")
					}
				}
				m.sh("svc -u dhcp_dum0")
				m.Until("dum0 is configured again", configured)
				m.says("sv status fw dhcp_dum0", fwDown+dhcpUp)
			})
		})
	}
}

// configured looks at what fw has made of the lease (EX-11).
func (m *machine) configured() {
	m.Helper()
	m.has("/var/run/service/fw/up", "\n")
	if b, _ := os.ReadFile("/var/run/service/fw/dhcp_dum0.ipconf"); strings.Count(string(b), "\n") != 7 {
		m.Errorf("not seven lines:\n%s", b)
	}
	if out := m.sh("ip route show default"); strings.TrimSpace(out) != "default via 172.16.42.98 dev dum0" {
		m.Error(out)
	}
	m.has("/etc/resolv.conf", "nameserver 10.34.32.125\n", "nameserver 10.32.63.5\n")
	m.has("/etc/hosts", "127.0.0.1 localhost\n", "\n172.16.42.177 ")
	m.has(varService+"/fw/run.out", "+ conf/lo.ipconf\n", "+ /var/run/service/fw/dhcp_dum0.ipconf\n", "* End of firewall configuration\n")
	if to, _ := os.Readlink(varService + "/fw/rundir"); to != "/var/run/service/fw" {
		m.Errorf("rundir leads to %q", to)
	}
}

// logged looks at what the logger has written, and as whom (EX-12).
func (m *machine) logged(handler bool) {
	m.Helper()
	const dir = "/var/log/service/dhcp_dum0"
	text := []string{"* Upping iface dum0\n", "* Starting udhcpc on dum0 ["}
	if handler { // that of 1.35 keeps its words to itself
		text = append(text, "Params: deconfig\n", "Deconfiguring\n", "Params: bound\n", "Reconfiguring fw\n")
	}
	m.has(dir+"/current", text...)
	b, _ := os.ReadFile(dir + "/current")
	for line := range strings.Lines(string(b)) {
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{5} `).MatchString(line) {
			m.Errorf("no time in %q", line)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(dir+"/current", &st); err != nil || st.Uid != 7001 || st.Gid != 7001 {
		m.Errorf("the log is of %d:%d: %v", st.Uid, st.Gid, err)
	}
	process, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.Main("dhcp_dum0/log")))
	if must(m.T, err); !strings.Contains(string(process), "Uid:\t7001\t7001\t7001\t7001\n") || !strings.Contains(string(process), "Name:\tsvlogd\n") {
		m.Errorf("the logger is\n%s", process)
	}
	if to, _ := os.Readlink(varService + "/dhcp_dum0/log/logdir"); to != dir {
		m.Errorf("logdir leads to %q", to)
	}
	if out := m.sh("PAGER=cat " + upstream + "/svpage dhcp_dum0 2>/dev/null"); !strings.Contains(out, text[0]) {
		m.Errorf("svpage says %q", out)
	}
}

// asksOnce has fw asked for while it runs (EX-14, OS-1 to OS-4).
func (m *machine) asksOnce() {
	m.Helper()
	before := m.runs()
	m.put("/run/wait", "")
	m.sh("svc -u fw")
	m.says("sv status fw", `run: fw: \(pid \d+\) \d+s, want down\n`) // it has said so itself
	pid := m.Main("fw")
	for range 3 {
		m.sh(`env - PATH="$PATH" svc -u fw`)
	}
	m.says("sv status fw", `run: fw: \(pid \d+\) \d+s\n`)
	if m.runs() != before || m.Main("fw") != pid {
		m.Error("fw was cut short")
	}
	must(m.T, os.Remove("/run/wait"))
	m.Until("it has run twice", func() bool { return m.runs() == before+2 })
	m.says("sv status fw", fwDown)
	m.never("it runs once more", 3*quiet, func() bool { return m.runs() != before+2 })
	m.sh("svc -u fw")
	m.Until("it has run as often as it was asked", func() bool { return m.runs() == before+3 })
}
