package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	runtime.MemProfileRate = 0 // nobody asks for the profile
}

const (
	calm  = 2 * time.Second // without a burst: then memory is given back
	burst = 64              // effects
)

// thrift gives the system back what a burst of work needed and the daemon at
// rest does not: after the start, and after many effects, heap and the pages of
// the program. Those stay in the page cache and are mapped again, 16 at a time,
// when they are needed.
type thrift struct {
	timer   *time.Timer
	effects int
}

func newThrift() *thrift {
	debug.SetGCPercent(50) // the heap is small: what it costs to look at it is too
	return &thrift{timer: time.AfterFunc(calm, func() {
		debug.FreeOSMemory()
		unmapProgram()
	})}
}

// spend is called for every effect.
func (t *thrift) spend() {
	if t.effects++; t.effects%burst == 0 {
		t.timer.Reset(calm)
	}
}

// unmapProgram takes the program's own read-only pages out of our page tables.
func unmapProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		var from, to uintptr
		if len(f) < 6 || f[5] != exe || f[1][1] == 'w' {
			continue
		}
		if _, err := fmt.Sscanf(f[0], "%x-%x", &from, &to); err == nil {
			unix.RawSyscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED) // where refused, nothing is lost
		}
	}
}
