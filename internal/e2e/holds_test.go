package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"hotsvc/internal/livetest"
)

func TestPersonsHoldOutlivesTheRules(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		pid := m.Main("net@wan0")
		m.do("require", "net@wan0")
		m.pull("wan0")
		m.Until("only the person holds it", func() bool {
			s := m.Get("net@wan0")
			return len(s.Holds) == 1 && strings.HasPrefix(s.Holds[0].Holder, "uid:")
		})
		m.never("it goes", quiet, func() bool { return m.Get("net@wan0").State != "up" })
		if got := m.Main("net@wan0"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		for _, verb := range []string{"why", "status"} {
			if out := m.do(verb, "net@wan0"); !strings.Contains(out, "uid:0") {
				m.Errorf("%s does not show the person:\n%s", verb, out)
			}
		}
		m.do("release", "net@wan0")
		m.Is("net@wan0", "down")
	})
}

func TestTwoHundredRequiresAtOnceNeedTwoHundredReleases(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		parallel := func(verb string) {
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					if out, err := m.hsctl(verb, "a").CombinedOutput(); err != nil {
						m.Errorf("%s: %v: %s", verb, err, out)
					}
				})
			}
			all.Wait()
		}
		parallel("require")
		if s := m.Get("a"); len(s.Holds) != 1 || s.Holds[0].Count != 200 || s.State != "up" {
			m.Fatalf("after 200 requires: %+v", s.Holds)
		}
		m.do("release", "a")
		if s := m.Get("a"); len(s.Holds) != 1 || s.Holds[0].Count != 199 || s.State != "up" {
			m.Fatalf("after one release: %+v", s.Holds)
		}
		m.do("require", "a")
		parallel("release")
		if s := m.Get("a"); s.State != "down" || len(s.Holds) != 0 {
			m.Errorf("after 200 releases: %+v", s)
		}
		m.fails(1, "release", "a")
		// A name does not count.
		m.do("require", "a", "--as", "me")
		m.do("require", "a", "--as", "me")
		m.do("release", "a", "--as", "me")
		m.Is("a", "down")
	})
}

func TestHoldEndsWithItsCommandHoweverThatDies(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		cmd := m.hsctl("hold", "a", "--", "sleep", "1000")
		must(m.T, cmd.Start())
		m.Is("a", "up")
		if s := m.Get("a"); len(s.Holds) != 1 || s.Holds[0].Holder != fmt.Sprintf("pid:%d", cmd.Process.Pid) {
			m.Errorf("holds: %+v", s.Holds)
		}
		must(m.T, cmd.Process.Kill())
		cmd.Wait()
		m.Is("a", "down")
		err := m.hsctl("hold", "a", "--", "sh", "-c", "exit 7").Run()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
			m.Errorf("exit status of the command: %v", err)
		}
		m.Is("a", "down")
	})
}

func TestCallerKilledWhileItWaitsLeavesNoHold(t *testing.T) {
	live(t, func(m *machine) {
		m.service("slow", `exec_start = ["sleep", "1000"]`+"\nready = \"check\"\ncheck = [\"test\", \"-e\", \""+m.Path("ready")+"\"]\ncheck_every = \"50ms\"")
		m.boot()
		for _, args := range [][]string{{"require", "slow"}, {"hold", "slow", "--", "sleep", "1000"}} {
			cmd := m.hsctl(args...)
			must(m.T, cmd.Start())
			m.Is("slow", "starting")
			must(m.T, cmd.Process.Kill())
			cmd.Wait()
			m.Is("slow", "down")
			if s := m.Get("slow"); len(s.Holds) != 0 {
				m.Errorf("%s leaves %+v", args[0], s.Holds)
			}
		}
		// Nor does one that gives up.
		m.fails(2, "require", "slow", "--timeout", "300ms")
		m.Is("slow", "down")
		m.file("ready", "")
		m.do("require", "slow")
	})
}

func TestStopFromInsideAnswersItsCaller(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		// The shell outlives the TERM that follows the answer, to note it.
		m.service("self", `exec_start = ["sh", "-c", "trap : TERM; `+livetest.Program("hsctl")+` --socket `+m.Path("run/control")+
			` stop self >`+m.Path("answer")+` 2>&1; echo exit $? >>`+m.Path("answer")+`"]`)
		m.boot()
		m.do("start", "self", "--no-wait")
		m.Until("answered", func() bool {
			lines := m.lines("answer")
			return lines[len(lines)-1] == "exit 0"
		})
		if s := m.Is("self", "down"); s.Blocked == nil || s.Blocked.Kind != "stop" {
			m.Errorf("%+v", s)
		}
	})
}

func TestStopLastsUntilWhatHeldItIsGone(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.cable("wan0")
		m.Main("net@wan0")
		m.do("stop", "net@wan0")
		s := m.Get("net@wan0")
		if s.State == "up" || s.Blocked == nil || s.Blocked.Kind != "stop" || len(s.Blocked.UntilGone) != 1 {
			m.Errorf("after stop: %+v", s)
		}
		// A flap is no end of it.
		m.pull("wan0")
		m.Until("seen out", func() bool { return m.word("wan0", "running") == "false" })
		m.plug("wan0")
		m.Until("seen in", func() bool { return m.word("wan0", "running") == "true" })
		m.never("it starts", quiet, func() bool { return m.Get("net@wan0").State == "up" })
		m.remove("wan0")
		m.Until("gone", func() bool { return m.word("wan0", "index") == "" })
		m.cable("wan0")
		m.Is("net@wan0", "up")
	})
}

func TestBlockLastsUntilUnblock(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.do("block", "net@wan0") // before there is such a link
		m.cable("wan0")
		m.Until("held", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		out := m.fails(1, "why", "net@wan0")
		if !strings.Contains(out, "blocked by uid:0") || !strings.Contains(out, "hsctl") {
			m.Errorf("why:\n%s", out)
		}
		m.remove("wan0")
		m.Until("gone", func() bool { return m.word("wan0", "index") == "" })
		m.cable("wan0")
		m.Until("held", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		m.never("it starts", quiet, func() bool { return m.Get("net@wan0").State == "up" })
		m.do("unblock", "net@wan0")
		m.Is("net@wan0", "up")
	})
}

func TestSuspendStopallAndResume(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.do("start", "a")
		m.do("stopall")
		if s := m.Get("a"); s.State == "up" {
			m.Errorf("after stopall: %+v", s)
		}
		m.cable("wan0") // what appears later stays down too
		m.Until("held", func() bool { return len(m.Get("net@wan0").Holds) == 1 })
		m.never("it starts", quiet, func() bool { return m.Get("net@wan0").State == "up" })
		if r := m.report(); r.Suspended == nil {
			m.Error("status does not tell that all is suspended")
		}
		if out := m.fails(1, "why", "net@wan0"); !strings.Contains(out, "hsctl resume") {
			m.Errorf("why:\n%s", out)
		}
		m.do("resume")
		m.Is("net@wan0", "up")
		m.Is("a", "up")
		m.do("suspend")
		m.Is("a", "down")
		m.do("resume")
		m.Is("a", "up")
	})
}

func TestClosedGateIsWaitingNotUnwanted(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]
gate = [{ object = "link", match = { name = "wan0", running = true } }]`)
		m.service("once", `exec_start = ["sleep", "1000"]
gate = [{ object = "link", match = { name = "wan0", running = true }, once = true }]`)
		m.boot()
		m.do("start", "a", "once", "--no-wait")
		s := m.Is("a", "waiting")
		if len(s.WaitingFor) != 1 || s.WaitingFor[0].Kind != "gate" || len(s.Gates) != 1 || s.Gates[0].Open == nil || *s.Gates[0].Open {
			m.Errorf("%+v", s)
		}
		if out := m.fails(1, "why", "a"); !strings.Contains(out, "gate") || !strings.Contains(out, "wan0") {
			m.Errorf("why:\n%s", out)
		}
		m.cable("wan0")
		m.Is("a", "up")
		pid := m.Main("once")
		m.pull("wan0")
		m.Is("a", "waiting")
		if got := m.Main("once"); got != pid {
			m.Errorf("a gate that is asked once took pid %d away: now %d", pid, got)
		}
	})
}

func TestStartAtBootRunsWithoutAnybody(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`+"\nstart_at_boot = true")
		m.service("b", `exec_start = ["sleep", "1000"]`)
		m.boot()
		s := m.Is("a", "up")
		if len(s.Holds) != 1 || s.Holds[0].Holder != "boot" {
			m.Errorf("%+v", s.Holds)
		}
		m.never("the other starts", quiet, func() bool { return m.Get("b").State != "down" })
		m.do("block", "a")
		m.Is("a", "down")
		m.do("start", "a")
		m.Is("a", "up")
	})
}

func TestTwoHundredBridgesAtOnceAreAllSeen(t *testing.T) {
	lacks(t, "ip")
	live(t, func(m *machine) {
		m.rules("[[rule]]\nname = \"bridges\"\nobject = \"link\"\nmatch = { kind = \"bridge\", name = \"br*\" }\nrequire = [\"note@{name}\"]\n")
		m.service("note@", "type = \"oneshot\"\nexec_start = [\"true\"]")
		m.boot()
		for i := range 200 {
			must(m.T, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("br%d", i), TxQLen: -1, Group: 7}}))
		}
		m.Until("200 services are up", func() bool {
			up := 0
			for _, s := range m.report().Services {
				if strings.HasPrefix(s.Name, "note@") && s.State == "up" {
					up++
				}
			}
			return up == 200
		})
		out, err := exec.Command("ip", "link", "del", "group", "7").CombinedOutput() // all at once
		if err != nil {
			m.Fatalf("ip link del: %v: %s", err, out)
		}
		m.Until("and all are forgotten", func() bool { return len(m.report().Services) == 0 })
	})
}
