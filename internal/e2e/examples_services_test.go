package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// instance links a service directory under another name.
func (m *machine) instance(of, name string) {
	m.Helper()
	m.example(of, "../lib/"+of)
	must(m.T, os.Symlink("../lib/"+of, filepath.Join(varService, name)))
}

// copied is a file of an instance's own directory.
func (m *machine) copied(name string) string { return m.Path("run/service/" + name) }

// brief makes sleeps brief, but for those of our fakes. Scripts that have no PATH
// any more find this one, too.
func (m *machine) brief() {
	m.Helper()
	m.fake("brief-sleep", "[ $1 != 1000 ] || exec busybox sleep 1000\nexec busybox sleep 0.1")
	must(m.T, unix.Mount(filepath.Join(fakes, "brief-sleep"), "/usr/bin/sleep", "", unix.MS_BIND, ""))
}

// commandLine is a process's words.
func commandLine(pid int) string {
	b, _ := os.ReadFile("/proc/" + itoa(pid) + "/cmdline")
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}

// becomes waits until a service's process is that program, with those arguments.
func (m *machine) becomes(name, command string) {
	m.Helper()
	m.Until(name+" is "+command, func() bool { return commandLine(m.running(name)) == command })
}

// applet is one of the machine's own busybox.
func (m *machine) applet(name string) {
	m.Helper()
	busybox, err := exec.LookPath("busybox")
	must(m.T, err)
	must(m.T, os.Symlink(busybox, filepath.Join(fakes, name)))
}

func TestBusyboxExamplesServe(t *testing.T) {
	examples(t, func(m *machine) {
		names := []string{"httpd", "ftpd", "tftpd", "inetd", "dnsmasq"}
		for _, name := range names {
			m.example(name, name)
		}
		m.put("/etc/services", "domain 53/udp\ntelnet 23/tcp\n")
		m.put("/etc/hosts", "127.0.0.1 localhost\n192.0.2.8 printer.test\n")
		m.put("/etc/dnsmasq_servers.conf", "")
		m.put("/pub/httpd_root/index.html", "hello\n")
		m.put("/pub/tftpd_root/kernel", "an image")
		must(m.T, os.Mkdir("/pub/ftpd_root", 0o755))
		m.boot()
		m.dial(88).Close()
		answer, err := http.Get("http://127.0.0.1:88/")
		must(m.T, err)
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if must(m.T, err); string(text) != "hello\n" {
			m.Errorf("the web server says %q", text)
		}
		m.talk(m.dial(21), "", "220", "USER nobody", "331")
		m.Until("the file comes by TFTP", func() bool { return m.tftp("\x00\x01kernel\x00octet\x00") == "\x00\x03\x00\x01an image" })
		m.Until("inetd answers", func() bool {
			c, err := net.DialTimeout("tcp", "[::1]:444", time.Second)
			if err != nil {
				return false
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Second))
			text, _ := io.ReadAll(c)
			return string(text) == "Hello IPv6 localhost\n"
		})
		resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:53")
		}}
		m.Until("the name server answers", func() bool {
			ctx, done := context.WithTimeout(context.Background(), time.Second)
			defer done()
			got, err := resolver.LookupHost(ctx, "printer.test.")
			return err == nil && slices.Equal(got, []string{"192.0.2.8"})
		})
		for _, name := range names {
			m.says("sv status "+name, `run: `+name+`: \(pid \d+\) \d+s; run: log: \(pid \d+\) \d+s\n`)
			m.stays(name)
		}
		m.has("/var/log/service/httpd/current", "* Starting tcpsvd for httpd [")
		m.has("/var/log/service/dnsmasq/current", "* Starting dnsmasq\n", "started, version")
	})
}

// EX-4: instances are links, also of what is called by the client without an
// environment.
func TestBusyboxExampleServerGivesALinkedClientALease(t *testing.T) {
	examples(t, func(m *machine) {
		// Debian's client has no --hostname any more.
		m.fake("udhcpc", `for word; do
	shift
	[ "$word" = --hostname=null ] || set -- "$@" "$word"
done
exec busybox udhcpc "$@"`)
		m.applet("udhcpd")
		m.instance("dhcp_if", "dhcp_dum0")
		m.example("dhcpd_if", "dhcpd_dum1")
		m.address(nil, "dum1", "192.168.0.1/24")
		m.boot()
		m.Until("there is a lease", func() bool {
			text, _ := os.ReadFile(m.copied("dhcp_dum0/dhcp_dum0.ipconf"))
			return strings.Contains(string(text), "ip[$cfg]='192.168.0.")
		})
		m.has(m.copied("dhcp_dum0/env.out"), "interface=dum0\n")
		m.has("/var/run/service/fw/dhcp_dum0.ipconf", "if[$cfg]='dum0'\n")
		m.has(varService+"/dhcpd_dum1/udhcpd.conf", "\ninterface dum1\n")
		m.says("sv status dhcp_dum0 dhcpd_dum1", dhcpUp+strings.ReplaceAll(dhcpUp, "dhcp_dum0", "dhcpd_dum1"))
		if left, _ := filepath.Glob("/var/lib/dhcp_if/*.ipconf"); left != nil {
			m.Error("the original has got", left)
		}
		m.stays("dhcp_dum0")
		m.stays("dhcpd_dum1")
	})
}

func TestBusyboxExampleZeroconfAndFirewall(t *testing.T) {
	examples(t, func(m *machine) {
		m.network()
		m.example("fw", "fw")
		m.example("zcip_if", "zcip_dum0")
		m.boot()
		m.Until("dum0 has an address", func() bool { return strings.HasPrefix(m.word("dum0", "linklocal4"), "169.254.") })
		m.sh("svc -d zcip_dum0")
		m.Until("it has none", func() bool { return m.word("dum0", "linklocal4") == "" })
		m.has("/var/log/service/zcip_dum0/current", "* Starting zcip on dum0 [", "Finish: deconfiguring\n")
	})
}

// EX-6: a client without its link ends every few seconds, and each end has fw run.
// A rule instead of the boot is the remedy, and changes no script.
func TestBusyboxExampleClientOfAMissingLink(t *testing.T) {
	t.Run("started at boot", func(t *testing.T) {
		examples(t, func(m *machine) {
			m.network()
			m.brief()
			m.remove("dum0")
			m.example("fw", "fw")
			m.example("dhcp_if", "dhcp_dum0")
			m.boot()
			m.Until("fw runs again and again", func() bool { return m.runs() >= 3 })
			if s := m.Get("dhcp_dum0"); s.Restarts == 0 || s.State == "failed" {
				m.Errorf("%+v", s)
			}
		})
	})
	t.Run("required by a rule", func(t *testing.T) {
		examples(t, func(m *machine) {
			m.network()
			m.remove("dum0")
			m.rules("[[rule]]\nname = \"dhcp\"\nobject = \"link\"\nmatch = { name = \"dum0\" }\nrequire = [\"dhcp_dum0\"]\n")
			m.example("fw", "fw")
			m.example("dhcp_if", "dhcp_dum0")
			m.put(varService+"/dhcp_dum0/down", "")
			m.boot()
			m.says("sv status fw dhcp_dum0", fwDown+`down: dhcp_dum0: \d+s; run: log: .*\n`)
			m.cable("dum0")
			m.Until("dum0 is configured", func() bool { return m.word("dum0", "address4") == "172.16.42.177/24" })
			m.says("sv status fw", fwDown)
			before := m.runs()
			m.remove("dum0")
			m.says("sv status dhcp_dum0", `down: dhcp_dum0: \d+s; run: log: .*\n`)
			m.has("/var/log/service/dhcp_dum0/current", "* Starting udhcpc on dum0", "Finish: deconfiguring")
			m.Until("fw has run for the end", func() bool { return m.runs() == before+1 })
			m.says("sv status fw", fwDown)
			m.never("it runs again", 3*quiet, func() bool { return m.runs() != before+1 })
		})
	})
}

// EX-5: what sleeps because something is missing runs.
func TestBusyboxExampleOfCarrierSteersTheClient(t *testing.T) {
	examples(t, func(m *machine) {
		m.network()
		m.fake("ifplugd", `for last; do :; done
echo "$@"
"$last" dum0 down
while [ ! -e /run/plugged ]; do sleep 0.05; done
"$last" dum0 up
exec sleep 1000`)
		m.example("dhcp_if", "dhcp_dum0")
		m.example("ifplugd_if", "ifplugd_dum0")
		m.example("supplicant_if", "supplicant_dum0")
		m.boot()
		m.says("sv status dhcp_dum0", dhcpDown)
		m.put("/run/plugged", "")
		m.says("sv status dhcp_dum0", dhcpUp)
		m.has("/var/log/service/ifplugd_dum0/current", "-aqlMns -t3 -u8 -d8 -i dum0 -r "+varService+"/ifplugd_dum0/ifplugd_handler\n",
			"Downing dhcp_dum0\n", "Downing zcip_dum0\n", "fail: zcip_dum0: ", "Upping dhcp_dum0\n", "Upping zcip_dum0\n", "fail: zcip_dum0: ")
		m.becomes("supplicant_dum0", "sleep 5") // it takes its own path for the link
	})
}

func TestBusyboxExamplePingerStartsTheClientAnew(t *testing.T) {
	lacks(t, "unshare")
	examples(t, func(m *machine) {
		m.network()
		m.applet("ping")
		there := m.elsewhere("dum1")
		m.brief()
		m.address(there, "dum1", "172.16.42.98/24")
		m.example("fw", "fw")
		m.instance("dhcp_if", "dhcp_dum0")
		m.instance("dhcp_if_pinger", "dhcp_dum0_pinger")
		m.boot()
		m.Until("the router answers", func() bool {
			return strings.Contains(strings.Join(m.Get("dhcp_dum0_pinger").LogTail, "\n"), "1 packets received")
		})
		pid := m.Main("dhcp_dum0")
		log := m.copied("dhcp_dum0_pinger/run.log")
		os.Remove(log) // it may have asked before fw was done
		l, err := there.LinkByName("dum1")
		must(m.T, err)
		a, _ := netlink.ParseAddr("172.16.42.98/24")
		must(m.T, there.AddrDel(l, a))
		m.Until("the client is another one", func() bool { now := m.running("dhcp_dum0"); return now != 0 && now != pid })
		m.has(log, "Failed to ping 172.16.42.98, fail count:1\n", "fail count:5\n", "Restarting dhcp_dum0\n")
	})
}

// The client tells it, also one that is an instance: `../ntpd` is not beside what
// that is a link to.
func TestBusyboxExampleTimeServerAsksWhomTheLeaseNames(t *testing.T) {
	for name, add := range map[string]func(m *machine, of, name string){"copy": (*machine).example, "link": (*machine).instance} {
		t.Run(name, func(t *testing.T) {
			examples(t, func(m *machine) {
				m.network()
				m.brief()
				m.example("fw", "fw")
				add(m, "dhcp_if", "dhcp_dum0")
				m.example("ntpd", "ntpd")
				m.boot()
				m.becomes("ntpd", "ntpd -ddnNl -S ./ntp.script -p 10.34.32.125")
				m.has("/var/run/service/ntpd/dhcp_dum0.ntpconf", "ntpip[$cfg]='10.34.32.125'\n")
				m.has("/var/log/service/ntpd/current", "* Checking network\n", "* Starting ntpd[")
				m.sh("svc -d ntpd")
				m.says("sv status ntpd", `down: ntpd: \d+s, normally up; run: log: .*\n`)
			})
		})
	}
}

func TestBusyboxExamplesOnTheConsole(t *testing.T) {
	examples(t, func(m *machine) {
		m.fake("setfont", `echo setfont "$@" >>`+m.Path("journal"))
		m.fake("loadkeys", "")
		m.fake("gpm", `echo gpm "$@" >>`+m.Path("journal")+"\nexec sleep 1000")
		m.dev()
		screens := map[string]*screen{"tty1": m.terminal("tty1"), "tty2": m.terminal("tty2"), "tty9": m.terminal("tty9")}
		for _, name := range []string{"getty_tty1", "nmeter", "gpm"} {
			m.example(name, name)
		}
		must(m.T, os.Symlink("getty_tty1", varService+"/getty_tty2"))
		must(m.T, os.Symlink("getty_tty1", varService+"/getty_tty3"))
		m.boot()
		m.told("gpm -D -2 -m /dev/psaux -t ps2")
		m.Until("a line of numbers", func() bool { return strings.Contains(screens["tty9"].text(), "\n") })
		m.becomes("getty_tty3", "sleep 32000")
		for name, dir := range map[string]string{"tty1": varService + "/getty_tty1", "tty2": m.copied("getty_tty2")} {
			m.Until("somebody is asked for a name on "+name, func() bool { return strings.Contains(screens[name].text(), "login:") })
			m.becomes("getty_"+name, "getty 38400 /dev/"+name+" linux")
			env, _ := os.ReadFile("/proc/" + itoa(m.Main("getty_"+name)) + "/environ")
			got := strings.Split(strings.TrimSuffix(string(env), "\x00"), "\x00")
			slices.Sort(got)
			if want := []string{"LOGIN_PRE_SUID_SCRIPT=" + dir + "/login.sh", "PATH=" + os.Getenv("PATH"), "TERM=linux"}; !slices.Equal(got, want) {
				m.Errorf("%s has %q, want %q", name, got, want)
			}
			m.told("setfont -C /dev/" + name + " -m " + dir + "/koi8r_to_uni.trans " + dir + "/alt08x16+unimap.fnt")
		}
	})
}
