package supervise

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// status reads numbers of /proc/self/status.
func status(key string) int {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "\n"+key+":")
	n, _ := strconv.Atoi(strings.Fields(rest)[0])
	return n
}

func settle() (rss int) {
	runtime.GC()
	debug.FreeOSMemory()
	return status("RssAnon")
}

// thousand starts that many sleeping services at once, then ends them all, and
// prints memory and threads.
func init() {
	helpers["thousand"] = func(args []string) int {
		n, _ := strconv.ParseInt(args[2], 10, 64)
		events := make(chan service.EventKind, 100)
		s, err := New(Config{RunDir: args[0], LogDir: args[0] + "/log", CgroupRoot: args[1], Post: func(in engine.Input) { events <- in.Process.Kind }})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer s.Close(false)
		await := func(kind service.EventKind) {
			for left := n; left > 0; {
				switch got := <-events; got {
				case kind:
					left--
				case service.SpawnError:
					fmt.Println("spawn error")
					os.Exit(1)
				}
			}
		}
		name := func(i int64) string { return fmt.Sprintf("service@%d", i) }
		before := settle()
		began := time.Now()
		for i := range n {
			s.Do(engine.Effect{Kind: engine.EffectSave, Service: name(i), Record: []byte("{}")})
			s.Do(engine.Effect{Kind: engine.EffectSpawn, Service: name(i), Attempt: 1, Spawn: spawnOf(name(i), 1, "sleep", "1000")})
		}
		await(service.Spawned)
		up, rss, threads := time.Since(began), settle(), status("Threads")
		began = time.Now()
		for i := range n {
			s.Do(engine.Effect{Kind: engine.EffectTerm, Service: name(i), Attempt: 1, Signal: "TERM"})
		}
		await(service.Exited)
		down := time.Since(began)
		for i := range n {
			s.Do(engine.Effect{Kind: engine.EffectSweep, Service: name(i), Attempt: 1, Signal: "TERM", KillAll: true})
		}
		await(service.Empty)
		kept := int(n)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && (kept > 0 || runtime.NumGoroutine() > 8); time.Sleep(time.Millisecond) {
			s.mu.Lock()
			kept = len(s.services)
			s.mu.Unlock()
		}
		fmt.Printf("before %d up %d rest %d kB, threads %d, kept %d, goroutines %d, start %v stop %v\n",
			before, rss, settle(), threads, kept, runtime.NumGoroutine(), up, down)
		return 0
	}
}

func TestThousandServices(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's memory is not ours")
	}
	if testing.Short() {
		t.Skip("short")
	}
	inBothRoots(t, func(t *testing.T, root string) {
		const n = 1000
		out, err := helper(t, "thousand", tmpfs(t), root, strconv.Itoa(n)).Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("%s", out)
		var before, up, rest, threads, kept int
		if _, err := fmt.Sscanf(string(out), "before %d up %d rest %d kB, threads %d, kept %d,", &before, &up, &rest, &threads, &kept); err != nil {
			t.Fatal(err)
		}
		if each := (up - before) / n; each > 10 {
			t.Errorf("%d kB a service, want at most 10", each)
		}
		if threads > 64 { // waiting takes none; the burst of starts and stops does
			t.Errorf("%d threads", threads)
		}
		if kept != 0 {
			t.Errorf("%d services are remembered", kept)
		}
	})
}

// tmpfs is a directory where a run directory would be, if there is such a place.
func tmpfs(b testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "supervise")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Life of a service: save, spawn, term, exit, sweep, empty.
func BenchmarkLife(b *testing.B) {
	for _, root := range []string{"", "none"} {
		b.Run("root="+root, func(b *testing.B) {
			events := make(chan service.EventKind, 100)
			s, err := New(Config{RunDir: tmpfs(b), LogDir: tmpfs(b), CgroupRoot: root, Post: func(in engine.Input) { events <- in.Process.Kind }})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close(false)
			var spawn, exit, empty time.Duration
			for n := int64(1); b.Loop(); n++ {
				t0 := time.Now()
				s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
				s.Do(engine.Effect{Kind: engine.EffectSpawn, Service: "a", Attempt: n, Spawn: spawnOf("a", n, "sleep", "1000")})
				<-events
				t1 := time.Now()
				s.Do(engine.Effect{Kind: engine.EffectTerm, Service: "a", Attempt: n, Signal: "TERM"})
				<-events
				t2 := time.Now()
				s.Do(engine.Effect{Kind: engine.EffectSweep, Service: "a", Attempt: n, Signal: "TERM", KillAll: true})
				<-events
				spawn, exit, empty = spawn+t1.Sub(t0), exit+t2.Sub(t1), empty+time.Since(t2)
			}
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) }
			b.ReportMetric(each(spawn), "µs/spawned")
			b.ReportMetric(each(exit), "µs/exited")
			b.ReportMetric(each(empty), "µs/empty")
		})
	}
}

func BenchmarkPrivileged(b *testing.B) {
	for name, change := range map[string]func(*service.Spawn){
		"plain":  func(*service.Spawn) {},
		"umask":  func(s *service.Spawn) { s.Umask = 0o077 },
		"limits": func(s *service.Spawn) { s.Limits = []service.Limit{{Name: "nofile", Soft: 64, Hard: 64}} },
	} {
		b.Run(name, func(b *testing.B) {
			events := make(chan service.EventKind, 100)
			s, err := New(Config{RunDir: tmpfs(b), LogDir: tmpfs(b), Post: func(in engine.Input) { events <- in.Process.Kind }})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close(false)
			for n := int64(1); b.Loop(); n++ {
				spawn := spawnOf("a", n, "true")
				change(spawn)
				s.Do(engine.Effect{Kind: engine.EffectSpawn, Service: "a", Attempt: n, Spawn: spawn})
				<-events
				<-events
			}
		})
	}
}
