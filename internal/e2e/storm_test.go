package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"hotsvc/internal/livetest"
)

// While the daemon is stopped the kernel goes on; what its sockets cannot keep
// is lost, and must be found by listing.
func TestOverflowOfBothSocketsReachesTheTruth(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule + "\n[[rule]]\nname = \"dev\"\nobject = \"device\"\nmatch = { SUBSYSTEM = \"net\", INTERFACE = \"wan*\" }\nrequire = [\"dev@{KERNEL}\"]\n")
		for _, name := range []string{"net@", "dev@"} {
			m.service(name, `exec_start = ["sleep", "1000"]`)
		}
		m.boot()
		m.cable("wan0")
		m.cable("wan1")
		kept := m.Main("net@wan0")
		m.Main("net@wan1")
		m.Signal(syscall.SIGSTOP)
		m.remove("wan1") // a lost remove, later
		// Events that cost the sockets more than they can be made to keep: some 40 MiB.
		far, err := netlink.LinkByName("far-wan0")
		must(m.T, err)
		for i := range 15000 {
			must(m.T, netlink.LinkSetMTU(far, 1400+i%2))
		}
		noise := make([]string, 8000)
		for i := range noise {
			noise[i] = "change@/devices/noise\x00ACTION=change\x00DEVPATH=/devices/noise\x00X=" + strings.Repeat("x", 1800) + "\x00"
		}
		m.uevents(noise...)
		m.cable("wan2") // a lost add
		m.Signal(syscall.SIGCONT)
		m.Is("net@wan2", "up")
		m.Is("dev@wan2", "up")
		m.Is("net@wan1", "down")
		m.Is("dev@wan1", "down")
		if got := m.Main("net@wan0"); got != kept {
			m.Errorf("pid %d, before %d", got, kept)
		}
		for _, name := range []string{"uevent", "link"} {
			if s := m.source(name); s.Lost == 0 || s.Resyncs == 0 {
				m.Errorf("the loss is not counted: %+v", s)
			}
		}
	})
}

// The daemon is killed at moments of chance while cables come and go. Nothing
// may run twice, and in the end everything is as the cables are.
func TestDaemonKilledAgainAndAgainStartsNothingTwice(t *testing.T) {
	liveBothWays(t, func(m *machine) {
		lacks(m.T, "flock")
		m.rules(strings.Replace(cableRule, "500ms", "50ms", 1))
		// A second one would not get the lock, and say so.
		m.service("net@", `exec_start = ["sh", "-c", "exec flock -n -E 9 `+m.Path("lock")+`-$0 sleep 1000 || echo twice $0 >>`+m.Path("twice")+`", "{instance}"]
exec_stop_post = ["sh", "-c", "test \"$EXIT_STATUS\" != 9 || echo twice >>`+m.Path("twice")+`"]
backoff = { first = "10ms", max = "50ms" }`)
		m.boot()
		const cables = 4
		in := [cables]bool{}
		for i := range cables {
			m.cable(fmt.Sprintf("wan%d", i))
			in[i] = true
		}
		for range 12 {
			for range 3 {
				i := rand.IntN(cables)
				if in[i] = !in[i]; in[i] {
					m.plug(fmt.Sprintf("wan%d", i))
				} else {
					m.pull(fmt.Sprintf("wan%d", i))
				}
				time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			}
			m.End(syscall.SIGKILL)
			m.boot()
		}
		for i, plugged := range in {
			name := fmt.Sprintf("net@wan%d", i)
			if plugged {
				m.Is(name, "up")
			} else {
				m.Is(name, "down")
			}
		}
		if _, err := os.Stat(m.Path("twice")); err == nil {
			m.Errorf("something ran twice: %v", m.lines("twice"))
		}
		want := 0
		for _, plugged := range in {
			if plugged {
				want++
			}
		}
		for end := time.Now().Add(10 * time.Second); m.sleeps() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				m.Fatalf("%d processes on %d cables:\n%s", m.sleeps(), want, m.tree())
			}
		}
	})
}

// tree lists the processes below us, each with its parent and its cgroup.
func (m *machine) tree() string {
	var b strings.Builder
	for _, pid := range livetest.Descendants(os.Getpid()) {
		read := func(name string) string {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
		}
		_, stat, _ := strings.Cut(read("stat"), ") ")
		fmt.Fprintf(&b, "%d %.12s [%s] %s\n", pid, stat, read("cmdline"), read("cgroup"))
	}
	return b.String()
}

// sleeps counts the living processes that are `sleep 1000` below us.
func (m *machine) sleeps() (n int) {
	for _, pid := range livetest.Descendants(os.Getpid()) {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); string(b) == "sleep\x001000\x00" {
			n++
		}
	}
	return n
}

func TestWaitingClientSurvivesARestartOfTheDaemon(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(cableRule)
		m.service("net@", `exec_start = ["sleep", "1000"]`)
		m.service("held", `exec_start = ["sleep", "1000"]`)
		m.boot()
		holder := m.hsctl("hold", "held", "--", "sleep", "1000")
		must(m.T, holder.Start())
		defer holder.Wait()
		defer holder.Process.Kill()
		pid := m.Main("held")
		waiter := m.hsctl("wait", "net@wan0", "--timeout", "20s")
		must(m.T, waiter.Start())
		m.Until("the waiter asks", func() bool { return waits(waiter) })
		m.End(syscall.SIGKILL)
		m.boot()
		m.cable("wan0")
		if err := waiter.Wait(); err != nil {
			m.Errorf("the waiter ended with %v", err)
		}
		if got := m.Main("held"); got != pid {
			m.Errorf("pid %d, before %d", got, pid)
		}
		must(m.T, holder.Process.Kill())
		m.Is("held", "down")
	})
}

func TestHolderThatDiesWhileNoDaemonRunsHoldsNothing(t *testing.T) {
	live(t, func(m *machine) {
		m.service("a", `exec_start = ["sleep", "1000"]`)
		m.service("b", `exec_start = ["sleep", "1000"]`)
		m.boot()
		holder := m.hsctl("hold", "a", "--", "sleep", "1000")
		must(m.T, holder.Start())
		m.do("require", "b", "--as", "me")
		a, b := m.Main("a"), m.Main("b")
		m.End(syscall.SIGKILL)
		must(m.T, holder.Process.Kill())
		holder.Wait()
		m.boot()
		m.Gone(a)
		m.Is("a", "down")
		if got := m.Main("b"); got != b {
			m.Errorf("pid %d, before %d", got, b)
		}
	})
}

// waits tells whether a program has a connection.
func waits(cmd *exec.Cmd) bool {
	dir := fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if to, _ := os.Readlink(dir + "/" + e.Name()); strings.HasPrefix(to, "socket:") {
			return true
		}
	}
	return false
}
