package e2e_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// Stories of docs/field-bugs.md that no other file here tells.

// enslaver puts its own link into br0 when it starts and takes it out when it ends.
func enslaver(m *machine) string {
	return `exec_start_pre = ["ip", "link", "set", "{instance}", "master", "br0"]
exec_stop_post = ["ip", "link", "set", "{instance}", "nomaster"]
` + m.sleeper("{instance}")
}

func addBridge(m *machine) {
	must(m.T, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", TxQLen: -1}}))
	br, err := netlink.LinkByName("br0")
	must(m.T, err)
	must(m.T, netlink.LinkSetUp(br))
}

func starts(m *machine, name string) int {
	n := 0
	for _, line := range m.lines("journal") {
		if line == "start "+name {
			n++
		}
	}
	return n
}

func TestServiceThatBridgesItsOwnLinkIsStartedOnce(t *testing.T) {
	live(t, func(m *machine) {
		lacks(m.T, "ip")
		m.rules(cableRule)
		m.service("net@", enslaver(m))
		m.boot()
		addBridge(m)
		m.cable("wan0")
		pid := m.Main("net@wan0")
		m.Until("in the bridge", func() bool { return m.word("wan0", "master") == "br0" })
		m.never("a second start", quiet, func() bool { return starts(m, "wan0") > 1 })
		if got := m.Main("net@wan0"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		m.pull("wan0")
		m.Is("net@wan0", "down")
		m.Until("out of the bridge", func() bool { return m.word("wan0", "master") == "" })
		m.never("a start without a cable", quiet, func() bool { return starts(m, "wan0") > 1 })
	})
}

// A rule that its own service makes untrue would go round for ever; damping ends
// it, and says so.
func TestRuleThatItsOwnServiceUndoesIsDamped(t *testing.T) {
	live(t, func(m *machine) {
		lacks(m.T, "ip")
		rule := strings.Replace(cableRule, "running = true", "running = true, master = false", 1)
		m.rules(strings.Replace(rule, `linger  = "500ms"`, `damping = { half_life = "1m", suppress = 3, reuse = 1, max = "10m" }`, 1))
		m.service("net@", enslaver(m))
		m.boot()
		addBridge(m)
		m.cable("wan0")
		m.Until("suppressed, and why says so", func() bool {
			out, code := m.try("why", "net@wan0")
			return code == 1 && strings.Contains(out, "suppressed")
		})
		m.Until("its end", func() bool { return m.Get("net@wan0").State != "stopping" })
		was := starts(m, "wan0")
		m.never("a start while it is suppressed", quiet, func() bool { return starts(m, "wan0") > was })
		if was > 4 {
			m.Errorf("%d starts before it was suppressed", was)
		}
	})
}

func TestCablesPluggedWhileTheDaemonStartsAreStartedOnceEach(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		const cables = 24
		plugged := make(chan struct{})
		go func() { // before the daemon subscribes, between that and its list, and after it
			defer close(plugged)
			for i := range cables {
				name := fmt.Sprintf("wan%d", i)
				if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}, PeerName: "far-" + name}); err != nil {
					m.Errorf("%s: %v", name, err)
				}
				for _, end := range []string{name, "far-" + name} {
					if l, err := netlink.LinkByName(end); err != nil || netlink.LinkSetUp(l) != nil {
						m.Errorf("%s does not come up: %v", end, err)
					}
				}
			}
		}()
		m.boot()
		<-plugged
		for i := range cables {
			m.Is(fmt.Sprintf("net@wan%d", i), "up")
		}
		m.Until("all began", func() bool { return len(m.lines("journal")) >= cables })
		m.never("a second start, or an end", quiet, func() bool { return len(m.lines("journal")) != cables })
	})
}

func TestTouchingOneInstanceLeavesTheOtherAlone(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		before, other := m.Main("net@wan0"), m.Main("net@wan1")
		m.do("restart", "net@wan0")
		if m.Main("net@wan0") == before {
			m.Error("net@wan0 was not restarted")
		}
		m.do("stop", "net@wan0")
		m.do("start", "net@wan0")
		m.pull("wan0")
		m.Is("net@wan0", "down")
		if s := m.Get("net@wan1"); *s.Pid != other || s.Restarts != 0 || starts(m, "wan1") != 1 {
			m.Errorf("net@wan1 has pid %d, before %d: %v", *s.Pid, other, m.lines("journal"))
		}
	})
}

func TestCircleIsRefusedByNameAndNobodyIsPunished(t *testing.T) {
	live(t, func(m *machine) {
		m.service("innocent", m.sleeper("innocent"))
		m.service("a", m.sleeper("a")+`needs = ["b"]`)
		m.service("b", m.sleeper("b"))
		m.boot()
		m.do("start", "innocent", "a")
		pids := map[string]int{"innocent": m.Main("innocent"), "a": m.Main("a"), "b": m.Main("b")}
		m.service("b", m.sleeper("b")+`needs = ["a"]`)
		for _, verb := range [][]string{{"check", m.Dir}, {"reload"}} {
			out, code := m.try(verb...)
			if code == 0 || !strings.Contains(out, `b.toml:2:10: needs: "a" closes a circle: a → b → a`) || strings.Contains(out, "innocent") {
				m.Errorf("%v: %d\n%s", verb, code, out)
			}
		}
		m.never("anything that ends", 300*time.Millisecond, func() bool {
			for name, pid := range pids {
				if s := m.Get(name); s.State != "up" || *s.Pid != pid {
					return true
				}
			}
			return false
		})
		// Nor does a daemon that finds it when it starts drop those who have no part in it.
		m.End(syscall.SIGTERM)
		m.boot()
		m.Is("innocent", "up")
	})
}
