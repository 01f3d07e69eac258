package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// soakEnv is how long TestSoak lasts: make soak TIME=10m.
const soakEnv = "HOTSVC_E2E_SOAK"

// soak is a bustle in which nobody dies, and somebody counts.
type soak struct {
	*bustle
	stop                      chan struct{}
	upgrades, reloads, polled atomic.Int64
	quarters                  [4]struct{ pss, own, threads, files []int }
}

// Cables flap, people change their minds, services crash, one writes a line a
// millisecond, files are changed and read again. In the first half the daemon is
// replaced ten times, in the second never: nothing grows, through upgrades or
// without. Whether goroutines do cannot be seen from outside; so at the end the
// daemon is made to list them, and so is one that has just begun.
func TestSoak(t *testing.T) {
	live(t, func(m *machine) {
		lasts, err := time.ParseDuration(os.Getenv(soakEnv))
		if err != nil {
			lasts = 4 * time.Second
		}
		s := &soak{bustle: &bustle{machine: m, minds: map[string]*mind{}, stay: map[string]int{}}, stop: make(chan struct{})}
		s.scene()
		s.begin()
		s.run(lasts)
		s.books(0)
		old := s.goroutines()
		s.books(0) // the next daemon has taken over
		young := s.goroutines()
		s.books(0)
		m.Logf("%v: %d flaps, %d verbs, %d reloads, %d upgrades, %d questions, %d crashes, %d lines\n%sgoroutines: %d, of a daemon that has just begun: %d",
			lasts, s.flaps.Load(), s.verbs.Load(), s.reloads.Load(), s.upgrades.Load(), s.polled.Load(), s.Get("crashes").Restarts, s.counted, s.table(), old, young)
		if lasts < time.Minute {
			return // that is too short to see anything grow
		}
		second, last := &s.quarters[1], &s.quarters[3]
		for what, q := range map[string][2][]int{"PSS": {second.pss, last.pss}, "memory of its own": {second.own, last.own}} {
			if before, now := median(q[0]), median(q[1]); now > before*5/4 {
				m.Errorf("%s grows: %d kB in the second quarter, %d in the last", what, before, now)
			}
		}
		for what, q := range map[string][2][]int{"threads": {second.threads, last.threads}, "descriptors": {second.files, last.files}} {
			if before, now := median(q[0]), median(q[1]); now > before+4 {
				m.Errorf("%s grow: %d in the second quarter, %d in the last", what, before, now)
			}
		}
		if old > young+4 {
			m.Errorf("goroutines grow: %d, and %d in a daemon that has just begun", old, young)
		}
	})
}

// run lets everything happen for so long.
func (s *soak) run(lasts time.Duration) {
	s.Helper()
	var others sync.WaitGroup
	others.Go(func() { s.flap(s.stop) })
	others.Go(func() { s.person(s.stop, "base", "web", "prog") })
	others.Go(func() { s.person(s.stop, "top", "bh", "he") })
	others.Go(func() { s.every(100*time.Millisecond, s.poll) })
	others.Go(func() { s.every(2*time.Second, s.reload) })
	monitor := s.hsctl("monitor")
	must(s.T, monitor.Start())
	began := time.Now()
	upgraded, looked := began, began
	for {
		part := time.Since(began)
		if part >= lasts {
			break
		}
		s.sample(int(4 * part / lasts))
		if part < lasts/2 && time.Since(upgraded) > lasts/20 {
			upgraded = time.Now()
			s.do("upgrade")
			s.upgrades.Add(1)
		}
		if time.Since(looked) > 30*time.Second {
			looked = time.Now()
			s.numbers()
		}
		time.Sleep(lasts / 300)
	}
	close(s.stop)
	others.Wait()
	monitor.Process.Kill()
	monitor.Wait()
}

// every does something again and again, until the soak is over.
func (s *soak) every(pause time.Duration, do func()) {
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(pause):
			do()
		}
	}
}

func (s *soak) poll() {
	for _, args := range [][]string{{"status"}, {"why", "net@wan0"}, {"logs", "count", "-n", "3"}} {
		s.hsctl(args...).Run() // why says no while it is down
		s.polled.Add(1)
	}
}

// reload changes what a file says of a service that runs, and what may restart.
func (s *soak) reload() {
	n := s.reloads.Add(1)
	path := s.Path("services/base.toml")
	text, err := os.ReadFile(path)
	if err == nil {
		text, _, _ = bytes.Cut(text, []byte("description"))
		err = os.WriteFile(path, fmt.Appendf(text, "description = \"%d\"\nenv = { N = \"%d\" }\n", n, n/5), 0o644)
	}
	if out, e := s.hsctl("reload").CombinedOutput(); err != nil || e != nil {
		s.Errorf("reload: %v %v %s", err, e, out)
	}
}

func (s *soak) sample(quarter int) {
	s.Helper()
	pid := s.k.pid()
	q := &s.quarters[quarter]
	q.pss = append(q.pss, figure(pid, "smaps_rollup", "Pss:"))
	q.own = append(q.own, figure(pid, "smaps_rollup", "Pss_Anon:"))
	q.threads = append(q.threads, figure(pid, "status", "Threads:"))
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	q.files = append(q.files, len(files))
}

func (s *soak) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "quarter\tPSS kB\tits own kB\tthreads\tdescriptors")
	for i, q := range s.quarters {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", i+1, spread(q.pss), spread(q.own), spread(q.threads), spread(q.files))
	}
	w.Flush()
	return b.String()
}

// spread is minimum/median/maximum.
func spread(n []int) string {
	if len(n) == 0 {
		return "–"
	}
	return fmt.Sprintf("%d/%d/%d", slices.Min(n), median(n), slices.Max(n))
}

func median(n []int) int {
	n = slices.Sorted(slices.Values(n))
	return n[len(n)/2]
}

// figure is a number that proc(5) has for a process.
func figure(pid int, file, key string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// goroutines ends the daemon by the signal that makes a Go program list them.
func (s *soak) goroutines() (n int) {
	s.Helper()
	before := len(s.lines("said"))
	lives := s.k.born()
	s.k.signal(syscall.SIGQUIT)
	s.Until("the next daemon is there", func() bool { return s.k.born() > lives })
	for _, line := range s.lines("said")[before:] {
		if strings.HasPrefix(line, "goroutine ") {
			n++
		}
	}
	return n
}
