package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// What is in env_file is seen by the service alone. What is in env stands in the
// configuration, and so in what keeps that, which only the owner can read.
func TestSecretsAreNotShown(t *testing.T) {
	live(t, func(m *machine) {
		m.file("env", "FILE_TOKEN=s3cret-file\nbroken s3cret-line\n")
		text := `exec_start = ["sh", "-c", "env >` + m.Path("got") + `; exec sleep 1000"]
env = { TOKEN = "s3cret-env", WORDS = "{{s3cret-env" }
env_file = ["` + m.Path("env") + `"]
`
		m.service("a", text)
		m.service("b", "exec_start = [\"sleep\", \"1000\"]\nenv = { TOKEN = \"{PRODUCT}s3cret-env\" }\n")
		m.service("c", "exec_start = [\"sleep\", \"1000\"]\nenv = { TOKEN = \"{product}s3cret-env\", PIN = 12345678, \"A B\" = \"s3cret-env\" }\n")
		m.service("d", "exec_start = [\"sleep\", \"1000\"]\nenv = { TOKEN = s3cret-env }\n")
		m.boot()
		record := m.hsctl("record", m.Path("rec"))
		must(m.T, record.Start())
		m.Until("a journal", func() bool { info, err := os.Stat(m.Path("rec")); return err == nil && info.Size() > 0 })
		var said strings.Builder
		ask := func(verb ...string) {
			for _, form := range [][]string{nil, {"--json"}} {
				out, _ := m.try(append(form, verb...)...)
				said.WriteString(out)
			}
		}
		ask("start", "a") // a line of env_file is wrong
		ask("start", "b") // a word is missing
		m.file("env", "FILE_TOKEN=s3cret-file\n")
		m.do("start", "a")
		m.Until("it has them", func() bool {
			got := m.lines("got")
			return slices.Contains(got, "TOKEN=s3cret-env") && slices.Contains(got, "FILE_TOKEN=s3cret-file")
		})
		for _, verb := range [][]string{{"status"}, {"status", "a"}, {"status", "b"}, {"why", "a"}, {"why", "b"}, {"rules"}, {"objects", "-v"}, {"timeline"}, {"metrics"},
			{"check", m.Dir}, {"reload"}, {"plan", m.Dir}, {"start", "c"}, {"logs", "a"}} {
			ask(verb...)
		}
		must(m.T, record.Process.Signal(syscall.SIGINT))
		record.Wait()
		for what, text := range map[string]string{"hsctl": said.String(), "the daemon's log": m.Said()} {
			for line := range strings.Lines(text) {
				if strings.Contains(line, "s3cret") || strings.Contains(line, "12345678") {
					m.Errorf("%s shows it: %s", what, line)
				}
			}
		}
		must(m.T, filepath.WalkDir(m.Dir, func(path string, e fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(m.Dir, path)
			if err != nil || !e.Type().IsRegular() || rel == "got" || rel == "env" || strings.HasPrefix(rel, "services/") {
				return nil
			}
			b, _ := os.ReadFile(path)
			info, err := e.Info()
			if strings.Contains(string(b), "s3cret-file") || strings.Contains(string(b), "s3cret-line") {
				m.Errorf("%s has what is in env_file", rel)
			}
			if err == nil && strings.Contains(string(b), "s3cret-env") && info.Mode() != 0o600 {
				m.Errorf("%s has what is in env, and mode %v", rel, info.Mode())
			}
			return nil
		}))
	})
}

// What a service calls asks the daemon that runs it.
func TestServicesFindTheirOwnDaemon(t *testing.T) {
	live(t, func(m *machine) {
		must(m.T, os.Mkdir(m.Path("run"), 0o755))
		must(m.T, os.Symlink(m.Path("own"), m.Path("run/control"))) // where the harness asks
		m.services("services")
		m.services("sv")
		m.args = append(m.args, "--socket", m.Path("own"))
		m.service("native", `exec_start = ["sh", "-c", "`+livetest.Program("hsctl")+` start by-native && echo $HOTSVC_SOCKET >`+m.Path("native")+`; exec sleep 1000"]`)
		m.script("sv/runit/run", livetest.Program("hsctl")+" start by-runit && echo $HOTSVC_SOCKET >"+m.Path("runit")+"; "+sleeps)
		for _, name := range []string{"by-native", "by-runit"} {
			m.service(name, `exec_start = ["sleep", "1000"]`)
		}
		m.boot()
		m.do("start", "native")
		for _, name := range []string{"native", "runit"} {
			m.Is("by-"+name, "up")
			m.Until(name+" is through", func() bool { return m.lines(name)[0] != "" })
			if got := m.lines(name)[0]; got != m.Path("own") {
				m.Errorf("%s has HOTSVC_SOCKET=%s", name, got)
			}
		}
	})
}

// Where a service would look anyway, it is not told.
func TestServicesOfTheSystemsDaemonNeedNoSocket(t *testing.T) {
	live(t, func(m *machine) {
		must(m.T, unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
		must(m.T, os.Mkdir(m.Path("run"), 0o755))
		must(m.T, os.Symlink("/run/hotsvc/control", m.Path("run/control")))
		m.args = append(m.args, "--run-dir", "/run/hotsvc")
		m.service("a", `exec_start = ["sh", "-c", "env >`+m.Path("env")+`; exec sleep 1000"]`)
		m.boot() // with a HOTSVC_SOCKET that names another
		m.do("start", "a")
		m.Until("the environment", func() bool { return slices.Contains(m.lines("env"), "HOTSVC_SERVICE=a") })
		for _, line := range m.lines("env") {
			if strings.HasPrefix(line, "HOTSVC_SOCKET=") {
				m.Error(line)
			}
		}
	})
}
