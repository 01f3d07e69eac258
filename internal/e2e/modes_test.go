package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// modes are those of all that a daemon makes, by path; the first that fits counts.
var modes = []struct{ path, mode string }{
	{`run`, "drwxr-xr-x"}, // people find the sockets in it
	{`run/control`, "Srw-------"},
	{`run/notify`, "Srw-rw-rw-"}, // services have users of their own; the kernel says whose process it is
	{`run/(output|ready|run|svc|run/[^/]*)`, "drwx------"},
	{`run/output/.*\.fifo`, "prw--w--w-"}, // its directory lets nobody in: a service opens its /dev/stdout again
	{`run/ready/.*`, "prw-------|prwx------|drwx------"},
	{`run/(boot|config.txtar|global|lock|marks|output/.*\.to|run/.*|svc/.*)`, "-rw-------"},
	{`run/(sysmgr|service|service/copy|service/copy/log)`, "drwxr-xr-x"},
	{`run/service/copy/(log/)?run`, "-rwxr-xr-x"}, // as in the original
	{`run/service/copy/(log/)?\.copied`, "-rw-------"},
	{`run/service/[^/]*`, "Lrwxrwxrwx"}, // what stands beside the original
	{`log`, "drwxr-xr-x"},
	{`log/[^/]*`, "drwxr-x---"},
	{`log/[^/]*/lock`, "-rw-------"},
	{`log/[^/]*/[^/]*`, "-rw-r--r--"}, // its directory decides
	{`.*/supervise`, "drwx------"},
	{`.*/supervise/(control|ok)`, "prw-------"},
	{`.*/supervise/lock`, "-rw-------"},
	{`.*/supervise/(pid|stat|status)`, "-rw-r--r--"},
	{`rec`, "-rw-------"}, // of hsctl record
}

// What the daemon makes has the modes that it should have, whatever the umask it
// was started with; the only thing that everybody can reach and write to is the
// socket on which services say that they are ready.
func TestFilesTheDaemonMakesHaveTightModes(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			live(t, func(m *machine) {
				m.services("services")
				m.services("sv")
				m.service("says", `exec_start = ["sh", "-c", "echo hello; echo >&3; exec sleep 1000"]`+"\nready = \"fd:3\"")
				m.script("sv/web/run", sleeps)
				m.script("sv/web/log/run", "exec cat >/dev/null")
				must(m.T, os.Symlink(m.Path("sv/web"), m.Path("sv/copy")))
				syscall.Umask(umask) // of the daemon, too
				m.boot()
				m.do("start", "says")
				record := m.hsctl("record", m.Path("rec"))
				must(m.T, record.Start())
				for _, path := range []string{"run/svc/web%2Flog", "sv/web/supervise/status", "log/says/current", "rec"} {
					m.Until(path, func() bool { _, err := os.Stat(m.Path(path)); return err == nil })
				}
				must(m.T, record.Process.Signal(syscall.SIGINT))
				record.Wait()
				seen := 0
				for _, dir := range []string{"run", "log", "sv", "rec"} {
					must(m.T, filepath.WalkDir(m.Path(dir), func(path string, e fs.DirEntry, err error) error {
						rel, _ := filepath.Rel(m.Dir, path)
						if info, err := os.Lstat(path); err == nil && m.tight(rel, info.Mode().String()) { // else it is gone
							seen++
						}
						return nil
					}))
				}
				if seen < 35 {
					m.Errorf("only %d files were looked at", seen)
				}
			})
		})
	}
}

// tight tells whether a file is of the daemon's making, and that its mode is right.
func (m *machine) tight(path, mode string) bool {
	m.Helper()
	for _, want := range modes {
		if regexp.MustCompile("^(" + want.path + ")$").MatchString(path) {
			if !regexp.MustCompile("^(" + want.mode + ")$").MatchString(mode) {
				m.Errorf("%s is %s, want %s", path, mode, want.mode)
			}
			return true
		}
	}
	if filepath.Dir(path) != "." && path[:2] != "sv" {
		m.Errorf("%s (%s) is in no list of what a daemon makes", path, mode)
	}
	return false
}
