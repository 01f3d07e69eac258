package e2e_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// A probe that ends in remove → add → bind is one device to people.
func TestReprobeIsOneHold(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"any\"\nobject = \"device\"\nmatch = { SUBSYSTEM = \"e2e\" }\nrequire = [\"dev@{KERNEL}\"]\nlinger_gone = \"5s\"\n")
		m.service("dev@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		event := func(action string) string {
			return action + "@/devices/stick\x00ACTION=" + action + "\x00DEVPATH=/devices/stick\x00SUBSYSTEM=e2e\x00"
		}
		m.uevents(event("add"), event("bind"))
		pid := m.Main("dev@stick")
		m.uevents(event("change"), event("unbind"), event("bind"))
		if got := m.Main("dev@stick"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		// Another incarnation is another device: restarted once, not stopped for good.
		m.uevents(event("remove"))
		m.Until("lingers", func() bool { s := m.Get("dev@stick"); return s.State == "up" && s.Want == "keep" })
		m.uevents(event("add"), event("bind"))
		m.Until("restarted for the new one", func() bool {
			s := m.Get("dev@stick")
			return s.State == "up" && s.Want == "up" && *s.Pid != pid
		})
		m.uevents(event("remove"))
		m.Is("dev@stick", "down")
	})
}

func TestEnvironmentOfAServiceOnALink(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sh", "-c", "env >`+m.Path("env")+`.new; mv `+m.Path("env")+`.new `+m.Path("env")+`; exec sleep 1000"]
exec_stop_post = ["sh", "-c", "echo $EXIT_CODE $EXIT_STATUS >`+m.Path("end")+`"]
env = { MAC = "{mac}" }`)
		os.Setenv("SECRET_OF_THE_DAEMON", "x")
		defer os.Unsetenv("SECRET_OF_THE_DAEMON")
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		m.Until("the environment", func() bool { return len(m.lines("env")) > 3 })
		text := "\n" + strings.Join(m.lines("env"), "\n") + "\n"
		for _, want := range []string{"HOTSVC_SERVICE=net@wan0", "HOTSVC_INSTANCE=wan0", "HOTSVC_RULE=cable", "INTERFACE=wan0", "IFINDEX=" + m.word("wan0", "index"),
			"MAC=" + m.word("wan0", "mac"), "HOTSVC_ATTR_NAME=wan0", "PATH=" + os.Getenv("PATH")} {
			if !strings.Contains(text, "\n"+want+"\n") {
				m.Errorf("no %s in%s", want, text)
			}
		}
		if strings.Contains(text, "SECRET") {
			m.Errorf("the daemon's environment leaks:%s", text)
		}
		if cwd, _ := os.Readlink("/proc/" + itoa(pid) + "/cwd"); cwd != "/" {
			m.Errorf("cwd %s", cwd)
		}
		if in, _ := os.Readlink("/proc/" + itoa(pid) + "/fd/0"); in != "/dev/null" {
			m.Errorf("stdin is %s", in)
		}
		m.do("stop", "net@wan0")
		m.Until("the end is told", func() bool { return m.lines("end")[0] != "" })
		if got := m.lines("end")[0]; got != "killed TERM" && got != "killed 15" {
			m.Errorf("EXIT_CODE EXIT_STATUS: %s", got)
		}
	})
}

const upRule = `
[[rule]]
name    = "up"
object  = "link"
match   = { name = "wan0", running = true }
require = ["net@{name}"]
link_up = true
`

func TestLinkIsSetUpOnceAndAnAdministratorsDownStands(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(upRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		must(m.T, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0", TxQLen: -1}, PeerName: "far-wan0"}))
		m.plug("wan0")
		m.Is("net@wan0", "up")
		m.link("wan0", netlink.LinkSetDown)
		m.Is("net@wan0", "down")
		m.never("set up again", quiet, func() bool { return m.word("wan0", "up") == "true" })
		m.End(syscall.SIGTERM)
		m.boot()
		m.never("set up again by the next daemon", quiet, func() bool { return m.word("wan0", "up") == "true" })
		m.link("wan0", netlink.LinkSetUp)
		m.Is("net@wan0", "up")
	})
}

func TestWhyTellsThatAnAdministratorsDownStands(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(upRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		must(m.T, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0", TxQLen: -1}, PeerName: "far-wan0"}))
		m.plug("wan0")
		m.Is("net@wan0", "up")
		m.link("wan0", netlink.LinkSetDown)
		m.Is("net@wan0", "down")
		if out := m.fails(1, "why", "net@wan0"); !strings.Contains(out, "set down") && !strings.Contains(out, "ip link set") {
			m.Errorf("why does not say that somebody set it down, and that this stands:\n%s", out)
		}
	})
}

// It was up when it was first seen: that is as good as set up by us.
func TestAdministratorsDownStandsOnALinkThatWasUpBefore(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(upRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.cable("wan0")
		m.boot()
		m.Is("net@wan0", "up")
		m.link("wan0", netlink.LinkSetDown)
		m.Until("seen", func() bool { return m.Get("net@wan0").State != "up" })
		m.never("set up again", quiet, func() bool { return m.word("wan0", "up") == "true" })
	})
}

// The shipped rules leave alone what somebody else configured.
func TestShippedRulesLeaveForeignLinksAlone(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"wired\"\nobject = \"link\"\nmatch = { name = \"wan*\", foreign = false, running = true }\nrequire = [\"net@{name}\"]\n")
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.cable("wan0")
		m.link("wan0", func(l netlink.Link) error {
			a, err := netlink.ParseAddr("192.0.2.1/24")
			if err != nil {
				return err
			}
			return netlink.AddrAdd(l, a)
		})
		m.cable("wan1")
		m.boot()
		m.Is("net@wan1", "up")
		m.never("a foreign link is taken", quiet, func() bool { return m.Get("net@wan0").State != "down" })
		if out := m.fails(1, "why", "net@wan0"); !strings.Contains(out, "foreign") {
			m.Errorf("why:\n%s", out)
		}
	})
}
