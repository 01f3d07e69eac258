package e2e_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"hotsvc/internal/livetest"
)

func rename(to string) func(netlink.Link) error {
	return func(l netlink.Link) error { return netlink.LinkSetName(l, to) }
}

func TestTwoLinksThatSwapNamesSwapServices(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("$IFINDEX/{instance}"))
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		zero, one := m.word("wan0", "index"), m.word("wan1", "index")
		m.Main("net@wan0")
		m.Main("net@wan1")
		m.Until("both have begun", func() bool { return len(m.lines("journal")) == 2 })
		m.link("wan0", rename("tmp"))
		m.link("wan1", rename("wan0"))
		m.link("tmp", rename("wan1"))
		m.Until("both run on the other link", func() bool {
			lines := m.lines("journal")
			return len(lines) == 6 && slices.Contains(lines, "start "+zero+"/wan1") && slices.Contains(lines, "start "+one+"/wan0")
		})
		m.Is("net@wan0", "up")
		m.Is("net@wan1", "up")
		// A name has one service at a time, and a link too.
		busy := map[string]bool{}
		for _, line := range m.lines("journal") {
			verb, who, _ := strings.Cut(line, " ")
			for _, part := range strings.Split(who, "/") {
				if verb == "start" && busy[part] {
					m.Errorf("two at a time on %s: %v", part, m.lines("journal"))
				}
				busy[part] = verb == "start"
			}
		}
	})
}

func TestLinkThatGetsAHostileNameLosesItsService(t *testing.T) {
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"any\"\nobject = \"link\"\nmatch = { kind = \"veth\", running = true, name = \"!far*\" }\nrequire = [\"net@{name}\"]\nlinger = \"1m\"\n")
		m.service("net@", m.sleeper("{instance}"))
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.Until("begun", func() bool { return m.lines("journal")[0] != "" })
		m.link("wan0", rename("$(id)"))
		m.Is("net@wan0", "down")
		if out := m.do("rules"); !strings.Contains(out, "no instance name") {
			m.Errorf("rules does not say why:\n%s", out)
		}
		m.link("$(id)", rename("wan0"))
		m.Is("net@wan0", "up")
		m.Until("begun", func() bool { return len(m.lines("journal")) == 3 })
		if got := strings.Join(m.lines("journal"), ","); got != "start wan0,end wan0,start wan0" {
			m.Errorf("journal: %s", got)
		}
	})
}

func TestLinkThatVisitsAnotherNamespaceIsGoneMeanwhile(t *testing.T) {
	lacks(t, "unshare")
	lacks(t, "nsenter")
	lacks(t, "ip")
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		away := exec.Command("unshare", "-n", "sleep", "1000")
		must(m.T, away.Start())
		defer away.Wait()
		defer away.Process.Kill()
		space := "/proc/" + itoa(away.Process.Pid) + "/ns/net"
		own, err := os.Readlink("/proc/self/ns/net")
		must(m.T, err)
		m.Until("another namespace", func() bool { other, err := os.Readlink(space); return err == nil && other != own })
		run := func(args ...string) {
			m.Helper()
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				m.Fatalf("%v: %v: %s", args, err, out)
			}
		}
		run("ip", "link", "set", "wan0", "netns", itoa(away.Process.Pid))
		m.Is("net@wan0", "down")
		run("nsenter", "--net="+space, "ip", "link", "set", "wan0", "netns", itoa(os.Getpid()))
		m.link("wan0", netlink.LinkSetUp)
		m.Is("net@wan0", "up")
		m.Until("begun", func() bool { return len(m.lines("journal")) == 3 })
		if got := strings.Join(m.lines("journal"), ","); got != "start wan0,end wan0,start wan0" {
			m.Errorf("journal: %s", got)
		}
	})
}

// start adds a hold only where nothing else holds: a stopped service that a
// running one needs is held.
func TestStartOfANeededServiceAddsNoHold(t *testing.T) {
	live(t, func(m *machine) {
		m.service("base", `exec_start = ["sleep", "1000"]`)
		m.service("top", "exec_start = [\"sleep\", \"1000\"]\nneeds = [\"base\"]")
		m.boot()
		m.do("start", "top")
		m.do("stop", "base")
		m.Is("top", "down")
		m.do("start", "base")
		m.Is("top", "up")
		if s := m.Get("base"); len(s.Holds) != 0 {
			m.Errorf("held by %s too", s.Holds[0].Holder)
		}
		m.do("stop", "top")
		m.Is("base", "down")
	})
}

func TestServiceThatIsNotReadyInTimeSaysSo(t *testing.T) {
	live(t, func(m *machine) {
		m.service("slow", "exec_start = [\"sleep\", \"1000\"]\nready = \"notify\"\nstart_timeout = \"300ms\"\nbackoff = { first = \"20s\" }")
		m.boot()
		m.do("start", "slow", "--no-wait")
		s := m.Is("slow", "backoff")
		out := m.fails(1, "why", "slow")
		if !strings.Contains(out, "ready") && !strings.Contains(out, "in time") && !strings.Contains(out, "start_timeout") {
			m.Errorf("why does not say that it was not ready in time:\n%s", out)
		}
		if s.Failures != 1 {
			m.Errorf("%d failures", s.Failures)
		}
	})
}

func TestStoppedProcessIsEndedToo(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		m.service("frozen", "exec_start = [\"sleep\", \"1000\"]\nshutdown_timeout = \"500ms\"")
		m.boot()
		m.do("start", "frozen")
		pid := m.Main("frozen")
		must(m.T, syscall.Kill(pid, syscall.SIGSTOP))
		m.do("stop", "frozen")
		if livetest.Alive(pid) {
			m.Errorf("process %d outlives the stop", pid)
		}
	})
}
