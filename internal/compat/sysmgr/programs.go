package sysmgr

import (
	"cmp"
	"os"
	"path/filepath"

	"hotsvc/internal/compat"
	"hotsvc/internal/layout"
	"hotsvc/internal/status"
)

// Programs are the names that these programs are called by.
var Programs = map[string]compat.Program{
	"svctl":          svctl,
	"sysmgr-depends": func(c *compat.Call) int { return depends(c, 0) },
	"sysmgr-needs":   func(c *compat.Call) int { return depends(c, failed) },
	"checkprocess":   checkprocess,
	"runsyssv":       runsyssv,
	"sysmgr":         sysmgr,
}

// failed is the exit status of all of them that is not 0.
const failed = 1

func sysdir() string { return cmp.Or(os.Getenv("SYSDIR"), "/var/sysmgr") }
func rundir() string { return cmp.Or(os.Getenv("RUNDIR"), "/run/sysmgr") }

// daemon is the one that the command `sysmgr` made in $RUNDIR, or else the one
// that hsctl would ask.
func daemon() compat.Daemon {
	own := controlIn(rundir())
	if _, err := os.Stat(own); err == nil && os.Getenv("HOTSVC_SOCKET") == "" {
		return compat.Daemon(own)
	}
	return compat.Daemon(layout.Socket())
}

func controlIn(runDir string) string {
	l := layout.Layout{RunDir: runDir}
	return l.SocketPath()
}

// up tells whether a service is what svctl calls UP: it runs, ready or not, or
// needs no process to be up, and nobody has told it to go down.
func up(s *status.Service) bool { return s.Want != "down" && (s.Main != nil || s.State == "up") }

// serviceOf is the service that somebody means by a name or a path.
func serviceOf(arg string) string { return filepath.Base(arg) }
