package e2e_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

const stickRule = "[[rule]]\nname = \"any\"\nobject = \"device\"\nmatch = { SUBSYSTEM = \"e2e\" }\nrequire = [\"dev@{KERNEL}\"]\n"

// forgery is a message that, were it believed, would start or stop something.
type forgery struct {
	family int
	text   []byte
}

// forgeries say that there is a stick, and that a link has gone.
func (m *machine) forgeries(link string) []forgery {
	gone := struct { // nlmsghdr(7) and ifinfomsg (rtnetlink(7))
		unix.NlMsghdr
		unix.IfInfomsg
	}{NlMsghdr: unix.NlMsghdr{Len: 32, Type: unix.RTM_DELLINK}}
	fmt.Sscan(m.word(link, "index"), &gone.Index)
	return []forgery{
		{unix.NETLINK_KOBJECT_UEVENT, []byte("add@/devices/forged\x00ACTION=add\x00DEVPATH=/devices/forged\x00SUBSYSTEM=e2e\x00")},
		{unix.NETLINK_ROUTE, (*[32]byte)(unsafe.Pointer(&gone))[:]},
	}
}

// forge sends each to all listeners, and to each one by its port. It returns how
// many the kernel did not refuse.
func forge(forgeries []forgery) (sent map[int]int, why error) {
	ports, _ := os.ReadFile("/proc/net/netlink")
	sent = map[int]int{}
	for _, f := range forgeries {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, f.family)
		if err != nil {
			return sent, err
		}
		to := []*unix.SockaddrNetlink{{Family: unix.AF_NETLINK, Groups: 1}}
		for line := range strings.Lines(string(ports)) {
			var sk string
			var family int
			var port, groups uint32
			if _, err := fmt.Sscanf(line, "%s %d %d %x", &sk, &family, &port, &groups); err == nil && family == f.family && port != 0 && groups != 0 {
				to = append(to, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port})
			}
		}
		for _, a := range to {
			if err := unix.Sendto(fd, f.text, 0, a); err == nil {
				sent[f.family]++
			} else {
				why = err
			}
		}
		unix.Close(fd)
	}
	return sent, why
}

// unmoved fails if a forgery had an effect.
func (m *machine) unmoved(pid int) {
	m.Helper()
	m.uevents("add@/devices/true\x00ACTION=add\x00DEVPATH=/devices/true\x00SUBSYSTEM=e2e\x00")
	m.Is("dev@true", "up") // so all that came before has been read
	if s := m.Get("dev@forged"); len(s.Holds) != 0 || s.State != "down" {
		m.Errorf("a forged device holds: %+v", s)
	}
	if got := m.Main("net@wan0"); got != pid {
		m.Errorf("a forged end of a link: pid %d, before %d", got, pid)
	}
}

// Even who may do anything with the network cannot pass for the kernel; status
// tells that somebody tries.
func TestForgedMessagesAreCountedAndShown(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(stickRule + cableRule)
		m.service("dev@", `exec_start = ["sleep", "1000"]`)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		sent, err := forge(m.forgeries("wan0"))
		if err != nil || sent[unix.NETLINK_KOBJECT_UEVENT] < 2 || sent[unix.NETLINK_ROUTE] < 2 {
			m.Fatalf("sent %v: %v", sent, err)
		}
		for name, family := range map[string]int{"uevent": unix.NETLINK_KOBJECT_UEVENT, "link": unix.NETLINK_ROUTE} {
			m.Until(name+" has counted them", func() bool { return m.source(name).Refused >= 2 })
			if out := m.do("status"); !strings.Contains(out, "source "+name+": synced, ") || !strings.Contains(out, "not believed") {
				m.Errorf("%d forged messages of %s, and status says\n%s", sent[family], name, out)
			}
		}
		m.unmoved(pid)
	})
}

// To another user the kernel refuses even to send; were one sent, it would be counted.
func TestAnotherUserCannotForge(t *testing.T) {
	t.Parallel()
	livetest.Root(t, func(t *testing.T) {
		mountCgroups(t)
		m := newMachine(t)
		m.rules(stickRule + cableRule)
		m.service("dev@", `exec_start = ["sleep", "1000"]`)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		forgeries := m.forgeries("wan0")
		type outcome struct {
			sent map[int]int
			err  error
		}
		done := make(chan outcome)
		go func() { // on a thread of another user, which ends with it
			runtime.LockOSThread()
			var o outcome
			if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 12345, 12345, 12345); errno != 0 {
				o.err = errno
			} else {
				o.sent, o.err = forge(forgeries)
			}
			done <- o
		}()
		o := <-done
		if o.err != unix.EPERM {
			t.Errorf("uid 12345 gets %v, want EPERM", o.err)
		}
		for name, family := range map[string]int{"uevent": unix.NETLINK_KOBJECT_UEVENT, "link": unix.NETLINK_ROUTE} {
			m.Until(name+" has counted what came", func() bool { return int(m.source(name).Refused) >= o.sent[family] })
		}
		m.unmoved(pid)
		t.Logf("of uid 12345's messages the kernel let through %v", o.sent)
	})
}
