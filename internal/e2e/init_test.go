package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/livetest"
)

// TestFirstProcessOfAContainer: as PID 1 of its namespace the daemon reaps every
// orphan, hears TERM, and ends with its services.
func TestFirstProcessOfAContainer(t *testing.T) {
	live(t, func(m *machine) {
		m.file("hotsvc.toml", "")
		m.service("orphans", fmt.Sprintf(`exec_start = ["sh", "-c", "for i in 1 2 3 4 5; do (sh -c 'sleep 0.1' &) ; done; echo begun >>%s; exec sleep 1000"]`, m.Path("begun"))+
			"\nkill_mode = \"main\"\nstart_at_boot = true\n")
		m.service("crashes", `exec_start = ["sh", "-c", "exit 7"]`+"\nstart_at_boot = true\nbackoff = { first = \"20ms\", max = \"20ms\" }\n")
		inner := m.command()
		cmd := exec.Command("unshare", append([]string{"-p", "-f", "--mount-proc"}, inner.Args...)...)
		m.Launch(cmd)
		m.Until("the services run", func() bool { return m.lines("begun")[0] == "begun" })
		children := livetest.Descendants(cmd.Process.Pid)
		if len(children) == 0 {
			t.Fatal("unshare has no child")
		}
		daemon := children[0]
		sleeps := func() (zombies int) {
			out, _ := exec.Command("ps", "-o", "stat=,comm=", "--ppid", fmt.Sprint(daemon)).Output()
			for line := range strings.Lines(string(out)) {
				if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[0], "Z") && (f[1] == "sleep" || f[1] == "sh") {
					zombies++
				}
			}
			return zombies
		}
		m.Until("the orphans have ended", func() bool { return sleeps() > 0 })
		m.Until("and are reaped", func() bool { return sleeps() <= 1 }) // one may be crashes, just now
		m.Until("the status of its own children is not stolen", func() bool {
			s := m.Get("crashes")
			return s.Restarts > 20 && s.Exit != nil && s.Exit.Code != nil && *s.Exit.Code == 7
		})
		must(t, syscall.Kill(daemon, syscall.SIGTERM))
		m.Ended()
	})
}
