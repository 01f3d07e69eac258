package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/status"
)

// evil is what a device may say that it is called. A text with control bytes is
// no word at all.
const evil = "x\n2026-01-01T00:00:00.000Z all is well\t\u202e/../../etc `touch PWN` $(touch PWN) ; {KERNEL} %s \\"

// harmless fails for text with which a terminal would do anything but show it.
func (m *machine) harmless(what, text string) {
	m.Helper()
	for line := range strings.Lines(text) {
		for _, c := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsPrint(c) {
				m.Errorf("%s has %U in %q", what, c, line)
				return
			}
		}
	}
}

// What hardware, links, mounts and people are called reaches services as it is,
// and does nothing anywhere else: no line of its own, no path, no command, no
// escape sequence.
func TestTextsFromOutsideAreOnlyTexts(t *testing.T) {
	live(t, func(m *machine) {
		m.rules(`
[[rule]]
name    = "stick"
object  = "device"
match   = { SUBSYSTEM = "e2e" }
require = ["stick@{KERNEL}", "called@{PRODUCT}"]
[[rule]]
name    = "link"
object  = "link"
match   = { kind = "veth" }
require = ["called@{name}"]
[[rule]]
name    = "mount"
object  = "mount"
match   = { target = "*evil*" }
require = ["mount@{fstype}"]
`)
		tell := func(file, word string) string {
			return `exec_start = ["sh", "-c", 'printf %s "$1" >` + m.Path(file) + `.arg; env -0 >` + m.Path(file) + `.env; exec sleep 1000', "sh", "{` + word + `}"]` + "\n"
		}
		m.service("stick@", tell("stick", "PRODUCT"))
		m.service("mount@", tell("mount", "target"))
		m.service("called@", `exec_start = ["sleep", "1000"]`)
		m.boot()
		m.uevents("add@/devices/stick\x00ACTION=add\x00DEVPATH=/devices/stick\x00SUBSYSTEM=e2e\x00PRODUCT=" + evil + "\x00MODEL=\x1b[2J\x00LD_PRELOAD=/tmp/evil.so\x00PATH=/tmp\x00")
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "d\x1b[2Jd", TxQLen: -1}, PeerName: "\u009b31m"}
		must(m.T, netlink.LinkAdd(link))
		must(m.T, netlink.LinkAddAltName(link, "alt\x1b]0;x\x07name"))
		target := m.Path("evil \n\x1b[31m\u009b$(touch PWN)")
		must(m.T, os.Mkdir(target, 0o755))
		must(m.T, unix.Mount("tmpfs", target, "tmpfs", 0, ""))
		m.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })

		for name, want := range map[string]string{"stick": evil, "mount": target} {
			m.Until("what "+name+" got", func() bool { _, err := os.Stat(m.Path(name + ".env")); return err == nil })
			m.Main(name + "@" + map[string]string{"stick": "stick", "mount": "tmpfs"}[name])
			var arg, env []byte
			m.Until("all of what "+name+" got", func() bool {
				arg, _ = os.ReadFile(m.Path(name + ".arg"))
				env, _ = os.ReadFile(m.Path(name + ".env"))
				return strings.Contains(string(env), "HOTSVC_SERVICE=")
			})
			if string(arg) != want {
				m.Errorf("%s got %q, want %q", name, arg, want)
			}
			all := "\x00" + string(env)
			for _, bad := range []string{"\x00LD_PRELOAD=", "\x00PATH=/tmp\x00", "\x00PRODUCT=", "\x1b[2J"} {
				if strings.Contains(all, bad) {
					m.Errorf("the environment of %s has %q", name, bad)
				}
			}
			if word := map[string]string{"stick": "PRODUCT", "mount": "TARGET"}[name]; !strings.Contains(all, "\x00HOTSVC_ATTR_"+word+"="+want+"\x00") {
				m.Errorf("the environment of %s has no such HOTSVC_ATTR_%s: %q", name, word, all)
			}
		}

		m.service("odd@", `exec_start = ["sh", "-c", "echo hello; exec sleep 1000"]`)
		m.do("reload")
		odd := "odd@/../../../../../tmp/hotsvc-escape"
		m.do("start", odd)
		for _, name := range []string{"odd@a\nb", "odd@\x1b[2J", "odd@\x00", "odd@"} {
			if !strings.Contains(name, "\x00") { // which no argument can hold
				if _, code := m.try("start", name, "--no-wait"); code == 0 {
					m.Errorf("%q was started", name)
				}
			}
		}
		for _, s := range m.report().Services {
			if strings.HasPrefix(s.Name, "called@") {
				m.Errorf("%q came into being", s.Name)
			}
		}

		for _, verb := range [][]string{{"status"}, {"status", "stick@stick"}, {"status", "mount@tmpfs"}, {"status", odd}, {"objects"}, {"objects", "-v"},
			{"objects", "link"}, {"rules"}, {"why", "stick@stick"}, {"why", "mount@tmpfs"}, {"timeline"}, {"metrics"}} {
			out, _ := m.try(verb...)
			m.harmless("hsctl "+strings.Join(verb, " "), out)
			out, _ = m.try(append([]string{"--json"}, verb...)...)
			m.harmless("hsctl --json "+strings.Join(verb, " "), out)
		}
		if out := m.do("rules"); strings.Count(out, "called@") < 3 || strings.Count(out, " is no instance name ") != 3 {
			m.Errorf("rules does not say why nothing is called so:\n%s", out)
		}
		var objects []status.Object
		must(m.T, json.Unmarshal([]byte(m.do("--json", "objects", "device")), &objects))
		seen := false
		for _, o := range objects {
			seen = seen || len(o.Words["PRODUCT"]) == 1 && o.Words["PRODUCT"][0] == evil
		}
		if !seen {
			m.Error("no script gets the device's words as they are")
		}

		m.harmless("the daemon's log", m.Said())
		stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}`)
		for line := range strings.Lines(m.Said()) {
			if !stamp.MatchString(line) {
				m.Errorf("a line of the log that is not the daemon's: %q", line)
			}
		}
		for _, dir := range []string{"run", "log"} {
			names, _ := filepath.Glob(m.Path(dir + "/*"))
			more, _ := filepath.Glob(m.Path(dir + "/*/*"))
			for _, name := range append(names, more...) {
				if !regexp.MustCompile(`^[A-Za-z0-9_.:+=@%-]+$`).MatchString(filepath.Base(name)) {
					m.Errorf("a file is called %q", name)
				}
			}
		}
		for _, bad := range []string{"PWN", "/PWN", "/tmp/hotsvc-escape", m.Path("PWN")} {
			if _, err := os.Stat(bad); err == nil {
				m.Errorf("%s was made", bad)
			}
		}
	})
}
