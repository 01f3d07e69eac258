package sysmgr

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
)

// checkprocess tells whether a process is there, one that we may not signal
// included.
func checkprocess(c *compat.Call) int {
	pid := 0
	if len(c.Args) > 0 {
		pid, _ = strconv.Atoi(c.Args[0])
	}
	if pid <= 0 { // 0 and less would be process groups
		fmt.Fprintf(c.Err, "usage: %s PID\n", c.Name)
		return failed
	}
	if err := unix.Kill(pid, 0); err != nil && err != unix.EPERM {
		return failed
	}
	return 0
}
