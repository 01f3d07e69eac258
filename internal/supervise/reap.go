package supervise

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A first process inherits every orphan of its pid namespace, and an image that
// goes on after an upgrade the helpers of the one before. Nobody waits for
// those. Whose end somebody here waits for is reaped within moments of it; what
// is a zombie for longer is therefore nobody's, and its status no loss.

// reapAge is how long a child is a zombie before it is taken for nobody's.
const reapAge = 2 * time.Second

// Reap reaps children that nobody waits for, until done is closed.
func Reap(done <-chan struct{}) {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGCHLD)
	defer signal.Stop(ends)
	dead := zombies()
	look := time.After(reapAge)
	for {
		select {
		case <-done:
			return
		case <-ends: // those that come while look is due are seen then
			if look == nil {
				dead = zombies()
				look = time.After(reapAge)
			}
		case <-look:
			still := zombies()
			for pid, started := range dead {
				if still[pid] == started {
					syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
					delete(still, pid)
				}
			}
			if dead, look = still, nil; len(still) > 0 {
				look = time.After(reapAge)
			}
		}
	}
}

// zombies are this process's dead children, with their start times.
func zombies() map[int]uint64 {
	own := os.Getpid()
	dead := map[int]uint64{}
	pids, _ := allPids()
	for _, pid := range pids {
		if st, err := readStat(pid); err == nil && st.parent == own && st.zombie() {
			dead[pid] = st.started
		}
	}
	return dead
}
