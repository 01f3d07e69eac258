package sysmgr

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
)

// lostPause is between two questions while there is no daemon.
const lostPause = time.Second

// depends is sysmgr-depends: it returns when all services are up, one after the
// other, however long that takes. It starts none and holds none.
func depends(c *compat.Call, usageStatus int) int {
	if len(c.Args) == 0 || strings.HasPrefix(c.Args[0], "-") {
		fmt.Fprintf(c.Out, "usage: %s SERVICE…\n\nReturns when all of them run.\n", c.Name)
		return usageStatus
	}
	for _, name := range c.Args {
		if unix.Access(filepath.Join(sysdir(), name), unix.R_OK) != nil {
			fmt.Fprintf(c.Err, "service file for '%s' could not be found\n", name)
			return failed
		}
	}
	for _, name := range c.Args {
		if err := waitUp(c, name); err != nil {
			fmt.Fprintln(c.Err, c.Name+": "+err.Error())
			return failed
		}
	}
	return 0
}

// waitUp outlives the daemon, as the service in which it waits does.
func waitUp(c *compat.Call, name string) error {
	for told := false; ; {
		err := daemon().Do(engine.VerbWait, serviceOf(name), -1)
		var e *control.Error
		if !errors.As(err, &e) || !e.Lost {
			return err
		}
		if !told {
			fmt.Fprintln(c.Err, c.Name+": waits for "+name+" and for a daemon: "+e.Text)
			told = true
		}
		time.Sleep(lostPause)
	}
}
