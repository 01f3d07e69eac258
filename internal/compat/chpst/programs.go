package chpst

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"hotsvc/internal/compat"
)

// The exit statuses of runit, and of daemontools before it.
const (
	statusUsage  = 100
	statusFailed = 111 // also when the program cannot be run
)

// Programs are chpst and the names for parts of it.
var Programs = map[string]compat.Program{
	"chpst":     program,
	"setuidgid": program,
	"envuidgid": program,
	"envdir":    program,
	"softlimit": program,
	"setlock":   program,
	"pgrphack":  program,
}

// member returns what does the work under a name, or nil. It comes back only if
// it failed.
func member(name string) func(*process, []string) error {
	switch name {
	case "chpst":
		return chpst
	case "setuidgid":
		return setuidgid
	case "envuidgid":
		return envuidgid
	case "envdir":
		return envdir
	case "softlimit":
		return softlimit
	case "setlock":
		return setlock
	case "pgrphack":
		return pgrphack
	}
	return nil
}

// Some of what a process has, it has by its first thread, which is where init
// runs: the nice value, and what happens at its parent's death.
func init() {
	if member(filepath.Base(os.Args[0])) != nil {
		runtime.LockOSThread()
	}
}

func program(c *compat.Call) int {
	err := newProcess(c.Err).start(c.Name, c.Args)
	f, ok := err.(*failure)
	if !ok {
		f = &failure{statusFailed, err.Error()}
	}
	if f.text != "" {
		fmt.Fprintln(c.Err, f.text)
	}
	return f.status
}

// failure is an error with its exit status; with no text it is silent.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }
