// Package bench measures what the product promises of speed and memory, beside
// C programs that do the least. scripts/bench runs it; docs/performance.md says
// what the numbers mean.
package bench

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	table  = flag.Bool("table", false, "measure and print the table (in namespaces of its own: see scripts/bench)")
	rounds = flag.Int("rounds", 40, "times that the cable is plugged, for each side")
	crowds = flag.Int("crowds", 5, "times that the crowd is started, by each side")
	tools  = flag.String("tools", ".cache/bench", "where the compiled helpers are")
	only   = flag.String("only", "", "measure one part: carrier, idle, crowd or core")
)

// TestMain is the whole: as a test there is nothing to run.
func TestMain(m *testing.M) {
	flag.Parse()
	if !*table {
		os.Exit(m.Run())
	}
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// cleanup ends what was started, last first.
var cleanup []func()

func measure() error {
	defer func() {
		for i := len(cleanup) - 1; i >= 0; i-- {
			cleanup[i]()
		}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	var err error
	if *tools, err = filepath.Abs(*tools); err != nil {
		return err
	}
	if err := stage(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		var rows []row
		for _, part := range []struct {
			name string
			run  func() ([]row, error)
		}{{"carrier", carrier}, {"idle", idle}, {"crowd", crowd}, {"core", core}} {
			if *only != "" && *only != part.name {
				continue
			}
			fmt.Fprintf(os.Stderr, "bench: %s…\n", part.name)
			more, err := part.run()
			if err != nil {
				done <- fmt.Errorf("%s: %w", part.name, err)
				return
			}
			rows = append(rows, more...)
		}
		printTable(os.Stdout, rows)
		done <- nil
	}()
	select {
	case err = <-done:
		return err
	case s := <-stop:
		return fmt.Errorf("%v", s)
	}
}

// work is a tmpfs, as /run is on a real system.
var work string

// stage makes the mounts that only this process and its children see.
func stage() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w: run scripts/bench", err)
	}
	var err error
	if work, err = os.MkdirTemp("", "hotsvc-bench"); err != nil {
		return err
	}
	cleanup = append(cleanup, func() {
		unix.Unmount(work, unix.MNT_DETACH)
		os.Remove(work)
	})
	if err := unix.Mount("tmpfs", work, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	// A /sys of this network namespace, with the machine's cgroups.
	kept := filepath.Join(work, "cgroup")
	if err := os.Mkdir(kept, 0o755); err != nil {
		return err
	}
	bound := unix.Mount("/sys/fs/cgroup", kept, "", unix.MS_BIND|unix.MS_REC, "")
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	if bound == nil {
		return unix.Mount(kept, "/sys/fs/cgroup", "", unix.MS_MOVE, "")
	}
	return nil
}
