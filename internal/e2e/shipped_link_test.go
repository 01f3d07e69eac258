package e2e_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"hotsvc/internal/livetest"
)

// uplink makes a link with a default route through it.
func (m *machine) uplink(name string) {
	m.Helper()
	m.cable(name)
	m.address(nil, name, "192.0.2.1/24")
	m.link(name, func(l netlink.Link) error {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 2)})
	})
}

// address gives a link an address, here or in another network namespace.
func (m *machine) address(there *netlink.Handle, name, address string) {
	m.Helper()
	if there == nil {
		there = &netlink.Handle{}
	}
	a, err := netlink.ParseAddr(address)
	must(m.T, err)
	l, err := there.LinkByName(name)
	must(m.T, err)
	must(m.T, there.AddrAdd(l, a))
}

// asked waits until somebody asks for the time at 127.0.0.1.
func asked(m *machine) func(why string) {
	c, err := net.ListenPacket("udp", "127.0.0.1:123")
	must(m.T, err)
	m.Cleanup(func() { c.Close() })
	return func(why string) {
		m.Helper()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		buffer := make([]byte, 200)
		n, _, err := c.ReadFrom(buffer)
		if err != nil || n < 48 || buffer[0]&7 != 3 { // RFC 5905, 7.3: mode 3 is a client
			m.Fatalf("%s: nobody asks: %v, %x", why, err, bytes.TrimRight(buffer[:n], "\x00"))
		}
	}
}

func TestShippedClockKeeperWaitsForAWayOut(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		m.put("/etc/ntp.conf", "server 127.0.0.1\n")
		wait := asked(m)
		m.boot()
		m.do("start", "ntpd", "--no-wait")
		m.Is("ntpd", "waiting")
		m.uplink("wan0")
		wait("there is a default route")
		m.stays("ntpd")
	})
}

// The clock has no namespace. Here chronyd may not set it, and must know that.
func TestShippedChronyAsksForTheTime(t *testing.T) {
	shipped(t, debian, func(m *machine) {
		m.change("variants/ntpd@chrony.toml", `"-d"`, `"-d", "-x"`)
		conf := "server 127.0.0.1 iburst\nuser root\n"
		m.put("/etc/chrony/chrony.conf", conf)
		m.put("/etc/chrony.conf", conf)
		wait := asked(m)
		m.boot()
		m.do("start", "ntpd")
		wait("chronyd runs")
		m.stays("ntpd")
	})
}

// As another user, so as root; but without the right to set the clock of this
// machine.
func TestShippedOpenNTPAsksForTheTime(t *testing.T) {
	shippedAsRoot(t, "/run/bin", func(m *machine) {
		must(m.T, os.Mkdir("/run/bin", 0o755))
		for _, name := range []string{"ntpd", "ntpctl"} {
			must(m.T, os.Symlink("/mnt/usr/sbin/"+name, "/run/bin/"+name))
		}
		m.change("variants/ntpd@openntpd.toml", "gate ", "capabilities = [\"CHOWN\", \"DAC_OVERRIDE\", \"NET_BIND_SERVICE\", \"SETGID\", \"SETUID\", \"SYS_CHROOT\"]\ngate ")
		m.put("/etc/passwd", "root:x:0:0::/:/bin/sh\nntpd:x:65534:65534::/var/lib/openntpd:/bin/false\n")
		m.put("/etc/openntpd/ntpd.conf", "server 127.0.0.1\n")
		must(m.T, os.MkdirAll("/var/lib/openntpd/db", 0o755))
		must(m.T, os.MkdirAll("/var/lib/openntpd/run", 0o755))
		wait := asked(m)
		m.uplink("wan0")
		m.boot()
		m.do("start", "ntpd")
		wait("openntpd runs")
		m.stays("ntpd")
	})
}

func TestShippedZeroconfGivesALinkAnAddress(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		m.put("/etc/zcip.script", "#!/bin/sh\n[ $1 != config ] || ip addr add $ip/16 dev $interface scope link\n[ $1 != deconfig ] || ip -4 addr flush dev $interface\n")
		must(m.T, os.Chmod("/etc/zcip.script", 0o755))
		m.cable("wan0")
		m.boot()
		m.do("start", "zeroconf@wan0")
		m.Until("it has one that nobody else has", func() bool { return strings.HasPrefix(m.word("wan0", "linklocal4"), "169.254.") })
		m.stays("zeroconf@wan0")
	})
}

func TestShippedServerGivesTheShippedClientALease(t *testing.T) {
	shipped(t, applets, func(m *machine) {
		lacks(m.T, "busybox")
		script, err := os.ReadFile("../../services/udhcpc.script")
		must(m.T, err)
		m.put("/etc/hotsvc/udhcpc.script", string(script))
		must(m.T, os.Chmod("/etc/hotsvc/udhcpc.script", 0o755))
		m.put("/etc/udhcpd-lan0.conf", "interface lan0\nstart 192.0.2.20\nend 192.0.2.20\noption subnet 255.255.255.0\noption dns 192.0.2.1\nlease_file /run/leases\npidfile /run/udhcpd-lan0.pid\n")
		m.cable("lan0")
		m.boot()
		m.do("start", "dhcpd@lan0", "--no-wait")
		m.Is("dhcpd@lan0", "waiting") // for an address
		m.address(nil, "lan0", "192.0.2.1/24")
		m.Is("dhcpd@lan0", "up")
		m.do("start", "dhcp@far-lan0")
		m.Until("the client has an address", func() bool { return m.word("far-lan0", "address4") == "192.0.2.20/24" })
		m.Until("and a name server", func() bool {
			text, _ := os.ReadFile("/etc/resolv.conf")
			return string(text) == "nameserver 192.0.2.1\n"
		})
		m.stays("dhcp@far-lan0")
		m.Until("the address is given back", func() bool { return m.word("far-lan0", "address4") == "" })
		m.stays("dhcpd@lan0")
		if _, err := os.Stat("/run/leases"); err != nil {
			m.Error("it has not written its leases:", err)
		}
	})
}

// elsewhere moves a link to a network namespace of its own, and returns the handle
// to that.
func (m *machine) elsewhere(name string) *netlink.Handle {
	m.Helper()
	cmd := exec.Command("unshare", "-n", "sleep", "1000")
	must(m.T, cmd.Start())
	m.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ours, err := os.Readlink("/proc/self/ns/net")
	must(m.T, err)
	m.Until("another namespace", func() bool {
		theirs, err := os.Readlink("/proc/" + itoa(cmd.Process.Pid) + "/ns/net")
		return err == nil && theirs != ours
	})
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	must(m.T, err)
	m.link(name, func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(ns)) })
	there, err := netlink.NewHandleAt(ns)
	must(m.T, err)
	m.Cleanup(func() { there.Close(); ns.Close() })
	l, err := there.LinkByName(name)
	must(m.T, err)
	must(m.T, there.LinkSetUp(l))
	return there
}

func TestShippedPingerStartsTheClientAnewWhenTheRouterIsGone(t *testing.T) {
	lacks(t, "unshare")
	shipped(t, applets, func(m *machine) {
		m.change("dhcp-pinger@.toml", `EVERY = "60", AGAIN = "5", FAILURES = "5"`, `EVERY = "0.2", AGAIN = "0.1", FAILURES = "3"`)
		m.service("dhcp@", m.sleeper("dhcp@{instance}"))
		m.service("supplicant@", m.sleeper("supplicant@{instance}"))
		m.cable("wan0")
		there := m.elsewhere("far-wan0")
		m.boot()
		m.do("start", "dhcp@wan0")
		m.do("start", "dhcp-pinger@wan0", "--no-wait")
		m.Is("dhcp-pinger@wan0", "waiting") // for a router
		m.address(nil, "wan0", "192.0.2.1/24")
		m.link("wan0", func(l netlink.Link) error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 2)})
		})
		pid := m.Main("dhcp-pinger@wan0")
		journal := func() string { return strings.Join(m.lines("journal"), ",") }
		m.never("a restart for a router that never answered", time.Second, func() bool { return journal() != "start dhcp@wan0" })

		m.address(there, "far-wan0", "192.0.2.2/24")
		m.Until("it has answered: the next question is not so soon", func() bool {
			return slices.ContainsFunc(livetest.Descendants(pid), func(child int) bool {
				command, _ := os.ReadFile("/proc/" + itoa(child) + "/cmdline")
				return string(command) == "sleep\x000.2\x00"
			})
		})
		if journal() != "start dhcp@wan0" {
			m.Errorf("journal: %s", journal())
		}
		a, _ := netlink.ParseAddr("192.0.2.2/24")
		l, err := there.LinkByName("far-wan0")
		must(m.T, err)
		must(m.T, there.AddrDel(l, a))
		m.Until("the client starts anew", func() bool { return journal() == "start dhcp@wan0,end dhcp@wan0,start dhcp@wan0" })
		m.Until("the log says why", func() bool {
			return strings.Contains(strings.Join(m.Get("dhcp-pinger@wan0").LogTail, "\n"), "192.0.2.2 on wan0 does not answer any more: dhcp@wan0 starts anew")
		})
		m.never("a second restart: the router has not answered since", quiet, func() bool { return len(m.lines("journal")) != 3 })
		if got := m.Main("dhcp-pinger@wan0"); got != pid {
			m.Errorf("the pinger has pid %d, before %d", got, pid)
		}
		if s := m.Get("supplicant@wan0"); s.State != "down" {
			m.Errorf("nobody wanted a supplicant: %+v", s)
		}
		m.stays("dhcp-pinger@wan0")
	})
}
