package sysmgr

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/compat"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// sysmgr becomes a hotsvc that keeps the programs of $SYSDIR running and does
// nothing else: its state is in $RUNDIR, and it has no rules.
func sysmgr(c *compat.Call) int {
	if len(c.Args) > 0 {
		fmt.Fprintf(c.Out, "usage: %s\n\nKeeps the programs in a directory running.\n\n  SYSDIR  the directory: %s\n  RUNDIR  for its state: %s\n",
			c.Name, sysdir(), rundir())
		return failed
	}
	fmt.Fprintf(c.Err, "%s: %v\n", c.Name, becomeDaemon())
	return failed
}

// becomeDaemon returns only with an error.
func becomeDaemon() error {
	if _, err := os.ReadDir(sysdir()); err != nil {
		return fmt.Errorf("the services cannot be read: %w: name their directory by $SYSDIR", err)
	}
	rules := filepath.Join(rundir(), "rules.d") // empty: hardware is not sysmgr's business
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(rundir(), "pid"), fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		return err
	}
	hotsvc, err := exec.LookPath("hotsvc")
	if err != nil {
		return fmt.Errorf("the daemon: %w", err)
	}
	if err := os.Setenv("HOTSVC_SOCKET", controlIn(rundir())); err != nil { // for what its services call
		return err
	}
	argv := []string{"hotsvc", "--rules", rules, "--services", "sysmgr:" + sysdir(), "--run-dir", rundir()}
	return fmt.Errorf("%s: %w", hotsvc, unix.Exec(hotsvc, argv, os.Environ()))
}

// runsyssv has the daemon run a service one time, and stays until that has ended.
func runsyssv(c *compat.Call) int {
	if len(c.Args) != 1 || strings.HasPrefix(c.Args[0], "-") {
		fmt.Fprintf(c.Out, "usage: %s SVFILE\n", c.Name)
		if len(c.Args) == 1 {
			return 0
		}
		return failed
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT, unix.SIGUSR1)
	d := daemon()
	s, err := d.Service(serviceOf(c.Args[0]))
	if err == nil && (s.Want != "down" || s.State != "down" || s.Blocked != nil && s.Blocked.Kind != "once") {
		return failed // it runs already, or is not to run
	}
	if err == nil {
		err = once(d, &s)
	}
	if err == nil {
		err = untilDown(d, &s, signals)
	}
	if err != nil {
		if !unreachable(c, err) {
			fmt.Fprintf(c.Err, "%s: %v\n", c.Name, err)
		}
		return failed
	}
	return 0
}

// untilDown waits for the end of a run. A signal ends it sooner, and is passed on
// as TERM, or KILL for USR1.
func untilDown(d compat.Daemon, s *status.Service, signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() { ended <- waitDown(d, s.Name) }()
	select {
	case err := <-ended:
		return err
	case sig := <-signals:
		now, err := d.Service(s.Name)
		switch {
		case err != nil:
			return err
		case sig == unix.SIGUSR1:
			return kill(d, &now)
		}
		return stop(d, &now)
	}
}

// waitDown returns when a service has run and is down. One that has not begun is
// down, too.
func waitDown(d compat.Daemon, name string) error {
	for {
		p := control.Params{Services: []string{name}, For: "down"}
		if err := control.Ask(string(d), engine.VerbWait, p, -1, nil); err != nil {
			return err
		}
		if s, err := d.Service(name); err != nil || s.State != "waiting" {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
