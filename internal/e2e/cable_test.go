package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func TestCableInServiceUpCableOutServiceDownAfterLinger(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "500ms", "1500ms", 1))
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		out := m.do("why", "net@wan0")
		for _, part := range []string{"rtnetlink newlink", "link:", "wan0", "rule: cable", "50-test.toml:2", "transition:"} {
			if !strings.Contains(out, part) {
				m.Errorf("why lacks %q:\n%s", part, out)
			}
		}
		pulled := time.Now()
		m.pull("wan0")
		m.Until("the hold lingers", func() bool {
			s := m.Get("net@wan0")
			return s.State == "up" && s.Want == "keep" && len(s.Holds) == 1 && s.Holds[0].LingerUntil != nil
		})
		if out := m.do("why", "net@wan0"); !strings.Contains(out, "lingers") {
			m.Errorf("why does not say that it lingers:\n%s", out)
		}
		m.Is("net@wan0", "down")
		if d := time.Since(pulled); d < 1500*time.Millisecond {
			m.Errorf("down %v after the cable was pulled: the linger is 1.5 s", d)
		}
		m.Gone(pid)
		out = m.fails(1, "why", "net@wan0")
		if !strings.Contains(out, "running = true") || !strings.Contains(out, "rule cable") {
			m.Errorf("why down:\n%s", out)
		}
	})
}

func TestCableBackWithinLingerChangesNothing(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "500ms", "1m", 1))
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		m.pull("wan0")
		m.Until("lingers", func() bool { return m.Get("net@wan0").Want == "keep" })
		m.plug("wan0")
		m.Until("held again", func() bool { return m.Get("net@wan0").Want == "up" })
		if got := m.Main("net@wan0"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		// A link that is gone does not linger: its index does not come back.
		m.remove("wan0")
		m.Gone(pid)
	})
}

func TestReplugDuringTheStopEndsUpRunning(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.probe()
		m.service("net@", `exec_start = ["sh", "-c", "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.05; done"]`)
		m.boot()
		r := m.record("net@*", "probe*")
		m.cable("wan0")
		pid := m.Main("net@wan0")
		m.pull("wan0")
		m.Is("net@wan0", "stopping")
		m.plug("wan0")
		m.Until("held again while it is being stopped", func() bool {
			s := m.Get("net@wan0")
			return s.State == "stopping" && s.Want == "up"
		})
		m.Until("up again", func() bool {
			s := m.Get("net@wan0")
			return s.State == "up" && *s.Pid != pid
		})
		if got := r.text("net@wan0"); strings.Count(got, ">starting") != 2 || strings.Count(got, ">stopping") != 1 {
			m.Errorf("transitions: %s", got)
		}
	})
}

func TestDeviceThereBeforeTheDaemonIsStartedOnce(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.cable("wan0")
		m.boot()
		m.Main("net@wan0")
		m.never("a second start", quiet, func() bool { return len(m.lines("journal")) != 1 })
	})
}

func TestRenameStopsTheOldBeforeTheNewStarts(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", m.sleeper("{instance}"))
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.Until("started", func() bool { return m.lines("journal")[0] != "" })
		m.link("wan0", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan1") })
		m.Main("net@wan1")
		m.Until("both told", func() bool { return len(m.lines("journal")) == 3 })
		if got := strings.Join(m.lines("journal"), ","); got != "start wan0,end wan0,start wan1" {
			m.Errorf("the order was %s", got)
		}
		if s := m.Get("net@wan0"); s.State != "down" || len(s.Holds) != 0 {
			m.Errorf("the old instance: %+v", s)
		}
	})
}

func TestBridgeJoinAndLeaveIsNoTransition(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.probe()
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		r := m.record("net@*", "probe*")
		before := r.text("net@wan0")
		must(m.T, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", TxQLen: -1}}))
		br, err := netlink.LinkByName("br0")
		must(m.T, err)
		must(m.T, netlink.LinkSetUp(br))
		for range 3 {
			m.link("wan0", func(l netlink.Link) error { return netlink.LinkSetMaster(l, br) })
			m.Until("in the bridge", func() bool { return m.word("wan0", "master") == "br0" })
			m.link("wan0", netlink.LinkSetNoMaster)
			m.Until("out of the bridge", func() bool { return m.word("wan0", "master") == "" })
		}
		m.never("a transition", quiet, func() bool { return r.text("net@wan0") != before })
		if got := m.Main("net@wan0"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
	})
}

func TestSettleWaitsForAQuietCable(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "linger", "settle = \"2s\"\nlinger", 1))
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		plugged := time.Now()
		m.cable("wan0")
		m.Until("why tells the settle", func() bool {
			out, code := m.try("why", "net@wan0")
			return code == 1 && strings.Contains(out, "settle")
		})
		s := m.Is("net@wan0", "up")
		if d := s.Since.Sub(plugged); d < 1900*time.Millisecond {
			m.Errorf("up %v after the cable: settle is 2 s", d)
		}
	})
}

func TestFlappingCableIsDampedVisiblyAndRecovers(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, `linger  = "500ms"`, `damping = { half_life = "3s", suppress = 2, reuse = 1, max = "10s" }`, 1))
		m.service("net@", m.sleeper("{instance}"))
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		suppressed := func() bool {
			s := m.Get("net@wan0")
			return len(s.Holds) == 1 && s.Holds[0].Suppressed != nil
		}
		// Three losses are enough, unless the machine is so busy that the first is forgotten.
		for flaps := 0; !suppressed(); flaps++ {
			if flaps == 20 {
				m.Fatal("twenty losses are not damped")
			}
			m.pull("wan0")
			m.Until("seen out", func() bool { return m.Get("net@wan0").Want != "up" })
			m.plug("wan0")
			m.Until("seen in", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		}
		if out := m.fails(1, "why", "net@wan0"); !strings.Contains(out, "suppressed") && !strings.Contains(out, "last run") {
			m.Errorf("why does not tell the damping:\n%s", out)
		}
		m.Until("the last run is over, and why tells the damping", func() bool {
			out, code := m.try("why", "net@wan0")
			return code == 1 && strings.Contains(out, "suppressed")
		})
		if s := m.Get("net@wan0"); len(s.Holds) != 1 || s.Holds[0].Suppressed == nil || s.State == "up" {
			m.Errorf("status: %+v", s)
		}
		starts := len(m.lines("journal"))
		m.Is("net@wan0", "up") // by itself
		if n := len(m.lines("journal")); n < starts {
			m.Errorf("journal: %v", m.lines("journal"))
		}
	})
}

// What only waits for a time to pass is waiting, and says for what.
func TestDampedAndSettlingServicesAreWaiting(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(strings.Replace(cableRule, "linger", "settle = \"1m\"\nlinger", 1))
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.Until("held", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		if s := m.Get("net@wan0"); s.State != "waiting" || len(s.WaitingFor) != 1 || s.WaitingFor[0].Kind != "settle" {
			m.Errorf("while it settles: %s, waiting for %+v", s.State, s.WaitingFor)
		}
	})
}
