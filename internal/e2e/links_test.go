package e2e_test

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/status"
)

// lockAndUnshare gives the thread a cgroup namespace; it must end with its goroutine.
func lockAndUnshare() error {
	runtime.LockOSThread()
	return unix.Unshare(unix.CLONE_NEWCGROUP)
}

// cable makes a link and its far end, far-NAME, which is up: it is plugged in
// as soon as the near end is up.
func (m *machine) cable(name string) {
	m.Helper()
	far := "far-" + name
	must(m.T, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}, PeerName: far}))
	m.link(name, netlink.LinkSetUp)
	m.link(far, netlink.LinkSetUp)
}

func (m *machine) plug(name string)   { m.Helper(); m.link("far-"+name, netlink.LinkSetUp) }
func (m *machine) pull(name string)   { m.Helper(); m.link("far-"+name, netlink.LinkSetDown) }
func (m *machine) remove(name string) { m.Helper(); m.link(name, netlink.LinkDel) }

func (m *machine) link(name string, do func(netlink.Link) error) {
	m.Helper()
	l, err := netlink.LinkByName(name)
	must(m.T, err)
	must(m.T, do(l))
}

// word is what the daemon knows of a link.
func (m *machine) word(link, word string) string {
	m.Helper()
	var all []status.Object
	must(m.T, json.Unmarshal([]byte(m.do("--json", "objects", "link")), &all))
	for _, o := range all {
		if o.Name == link {
			return strings.Join(o.Words[word], " ")
		}
	}
	return ""
}

// recorder keeps every transition that `hsctl monitor` tells.
type recorder struct {
	mu      sync.Mutex
	changes []status.Change
}

// record starts one; it has begun when this returns.
func (m *machine) record(patterns ...string) *recorder {
	m.Helper()
	r := &recorder{}
	cmd := m.hsctl(append([]string{"--json", "monitor"}, patterns...)...)
	out, err := cmd.StdoutPipe()
	must(m.T, err)
	must(m.T, cmd.Start())
	m.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var c status.Change
			if json.Unmarshal(lines.Bytes(), &c) == nil && c.Service != "" {
				r.mu.Lock()
				r.changes = append(r.changes, c)
				r.mu.Unlock()
			}
		}
	}()
	// Something must happen for it to be seen to have begun.
	m.Until("the monitor has begun", func() bool {
		m.do("start", "probe-of-the-test")
		m.do("stop", "probe-of-the-test")
		return strings.Contains(r.text("probe-of-the-test"), "down")
	})
	return r
}

// probe adds the service that record starts and stops.
func (m *machine) probe() {
	m.Helper()
	m.service("probe-of-the-test", `exec_start = ["sleep", "1000"]`)
}

// text is what was told of one service, as "down>starting starting>up …".
func (r *recorder) text(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, c := range r.changes {
		if c.Service == name {
			b.WriteString(c.From + ">" + c.To + " ")
		}
	}
	return strings.TrimSpace(b.String())
}

// quiet is time enough for what should not happen to happen.
const quiet = 400 * time.Millisecond

// cableRule holds net@NAME while the cable wanN is in.
const cableRule = `
[[rule]]
name    = "cable"
object  = "link"
match   = { name = "wan*", running = true }
require = ["net@{name}"]
linger  = "500ms"
`

// sleeper notes its start and end in the file journal of the machine.
func (m *machine) sleeper(name string) string {
	return `exec_start = ["sh", "-c", "echo start ` + name + ` >>` + m.Path("journal") +
		`; trap 'echo end ` + name + ` >>` + m.Path("journal") + `; exit 0' TERM; while :; do sleep 0.05; done"]` + "\n"
}

// lacks skips a test where a program is missing.
func lacks(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("no %s here", program)
	}
}
