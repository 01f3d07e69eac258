package e2e_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

func TestHostileInterfaceNamesHoldNothing(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"any\"\nobject = \"link\"\nmatch = { kind = \"veth\" }\nrequire = [\"net@{name}\"]\n")
		m.service("net@", `exec_start = ["sh", "-c", "echo $0 >>`+m.Path("started")+`; exec sleep 1000", "{instance}"]`)
		m.boot()
		bad := []string{"-f", "$(id)", "{name}", "a b", "a;b", "..x"}
		for i, name := range bad {
			v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}, PeerName: "peer" + strconv.Itoa(i)}
			if err := netlink.LinkAdd(v); err != nil {
				m.Logf("the kernel itself refuses %q: %v", name, err)
			}
		}
		m.Until("the good ones run", func() bool { return len(m.lines("started")) >= len(bad)-1 })
		m.Is("net@peer0", "up")
		for _, name := range m.lines("started") {
			if !strings.HasPrefix(name, "peer") {
				m.Errorf("started for %q", name)
			}
		}
		out := m.do("rules")
		for _, name := range bad[:3] {
			if !strings.Contains(out, name) {
				m.Errorf("rules does not list %s with the reason:\n%s", name, out)
			}
		}
		m.do("status")
		m.do("objects")
	})
}

// uevents sends payloads that the kernel re-broadcasts in this namespace.
func (m *machine) uevents(texts ...string) (refused int) {
	m.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	must(m.T, err)
	defer unix.Close(fd)
	for _, text := range texts {
		n := 16 + len(text)
		msg := []byte{byte(n), byte(n >> 8), byte(n >> 16), 0, 16, 0, unix.NLM_F_REQUEST | unix.NLM_F_ACK, 0, 1, 0, 0, 0, 0, 0, 0, 0}
		must(m.T, unix.Sendto(fd, append(msg, text...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
		ack := make([]byte, 1<<17)
		if n, err := unix.Read(fd, ack); err != nil || n < 20 || ack[16]|ack[17]|ack[18]|ack[19] != 0 {
			refused++
		}
	}
	return refused
}

func (m *machine) source(name string) object.SourceStatus {
	m.Helper()
	for _, s := range m.report().Sources {
		if s.Name == name {
			return s
		}
	}
	m.Fatalf("no source %s", name)
	return object.SourceStatus{}
}

func TestUeventsOfOddShapes(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"any\"\nobject = \"device\"\nmatch = { SUBSYSTEM = \"e2e\" }\nrequire = [\"dev@{KERNEL}\"]\n")
		m.service("dev@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		before := m.source("uevent")
		odd := []string{
			"a", "@", "add", "add@", "add@/devices/x", "@/devices/x\x00",
			"add@/devices/nonul\x00SUBSYSTEM=e2e", // the last value without its NUL
			"add@/devices/a=b@c\x00ACTION=add\x00DEVPATH=/devices/a=b@c\x00SUBSYSTEM=e2e\x00X==@=\x00",
			"add@/devices/$(id)\x00ACTION=add\x00DEVPATH=/devices/$(id)\x00SUBSYSTEM=e2e\x00",
			"add@/devices/../../etc/passwd\x00ACTION=add\x00DEVPATH=/devices/../../etc/passwd\x00SUBSYSTEM=e2e\x00",
			"explode@/devices/y\x00ACTION=explode\x00DEVPATH=/devices/y\x00SUBSYSTEM=e2e\x00",
			"add@/devices/other\x00ACTION=remove\x00DEVPATH=/devices/another\x00SUBSYSTEM=e2e\x00",
			"add@/devices/key\x00ACTION=add\x00DEVPATH=/devices/key\x00SUBSYSTEM=e2e\x00=x\x00noequals\x00\x00\x00",
			"add@/devices/bin\x00ACTION=add\x00DEVPATH=/devices/bin\x00SUBSYSTEM=e2e\x00X=\xff\xfe\x01\n\x00",
			"add@/devices/long\x00ACTION=add\x00DEVPATH=/devices/long\x00X=" + strings.Repeat("x", 1900) + "\x00",
		}
		if n := m.uevents(odd...); n > 2 {
			m.Logf("the kernel itself refuses %d of %d", n, len(odd))
		}
		m.uevents("add@/devices/good\x00ACTION=add\x00DEVPATH=/devices/good\x00SUBSYSTEM=e2e\x00")
		m.Is("dev@good", "up")
		after := m.source("uevent")
		if after.Refused == before.Refused {
			m.Errorf("nothing is counted as refused: %+v", after)
		}
		for _, s := range m.report().Services {
			if strings.ContainsAny(s.Name, "$/@=") && s.State == "up" && !strings.HasPrefix(s.Name, "dev@") || strings.Contains(s.Name, "$(") || strings.Contains(s.Name, "passwd") && strings.Contains(s.Name, "/") {
				m.Errorf("a wrong service: %s", s.Name)
			}
		}
		m.Logf("uevent source: %+v", after)
	})
}

func TestForgedUeventsAreCountedAndShown(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"any\"\nobject = \"device\"\nmatch = { SUBSYSTEM = \"e2e\" }\nrequire = [\"dev@{KERNEL}\"]\n")
		m.service("dev@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
		must(m.T, err)
		defer unix.Close(fd)
		forged := "add@/devices/forged\x00ACTION=add\x00DEVPATH=/devices/forged\x00SUBSYSTEM=e2e\x00"
		for _, text := range []string{forged, "", "x", forged + strings.Repeat("x", 64<<10)} {
			if err := unix.Sendto(fd, []byte(text), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
				m.Logf("the kernel refuses %d bytes: %v", len(text), err)
			}
		}
		m.Until("counted", func() bool { return m.source("uevent").Refused >= 3 })
		m.uevents("add@/devices/true\x00ACTION=add\x00DEVPATH=/devices/true\x00SUBSYSTEM=e2e\x00")
		m.Is("dev@true", "up")
		if s := m.Get("dev@forged"); len(s.Holds) != 0 || s.State != "down" {
			m.Errorf("a forged device holds: %+v", s)
		}
	})
}

func TestBadControlClientsHarmNobody(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.do("start", "a")
		dial := func() net.Conn {
			c, err := net.Dial("unix", m.Path("run/control"))
			must(m.T, err)
			m.Cleanup(func() { c.Close() })
			return c
		}
		garbage := dial()
		garbage.Write([]byte("\x00\x00GET / HTTP/1.1\r\n\r\n\x00{\x00[]\x00"))
		endless := dial()
		cut := make(chan int64, 1)
		go func() {
			block, sent := []byte(strings.Repeat("x", 1<<20)), int64(0)
			for sent < 200<<20 {
				n, err := endless.Write(block)
				sent += int64(n)
				if err != nil {
					break
				}
			}
			cut <- sent
		}()
		deaf := dial() // asks and asks, and never reads
		deaf.SetWriteDeadline(time.Now().Add(3 * time.Second))
		go func() {
			for {
				if _, err := deaf.Write([]byte(`{"method":"io.hotsvc.Status","parameters":{}}` + "\x00")); err != nil {
					return
				}
			}
		}()
		select {
		case sent := <-cut:
			if sent > 4<<20 {
				m.Errorf("%d MiB were taken from a client without an end", sent>>20)
			}
		case <-time.After(10 * time.Second):
			m.Error("a client without an end is not cut off")
		}
		for range 20 {
			began := time.Now()
			m.do("status", "a")
			if d := time.Since(began); d > 5*time.Second {
				m.Errorf("status took %v beside bad clients", d)
			}
		}
		m.do("restart", "a")
		if kb := m.rss(); kb > 100<<10 {
			m.Errorf("the daemon has %d kB", kb)
		}
	})
}

// rss is the daemon's memory in kB.
func (m *machine) rss() int {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(m.Pid()) + "/status")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.Atoi(f[1])
			return kb
		}
	}
	return 0
}
