package supervise

import (
	"os/exec"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// A service that runs is not taken for one that ended, and started a second
// time, because the daemon had no descriptor left when it took it over.
func TestAdoptedServiceIsNotGoneForWantOfADescriptor(t *testing.T) {
	inFake(t, func(k *fake, s *Supervisor, told func() []engine.Input) {
		find := func(err error) {
			k.mu.Lock()
			k.findErr = err
			k.mu.Unlock()
		}
		find(unix.EMFILE)
		s.Adopt(Live{Tree: Tree{"a", 1}, Pid: 42, Started: 1}, nil)
		time.Sleep(time.Minute)
		if got := kinds(told()); len(got) != 0 {
			t.Fatalf("told %v of a process that nobody could look at", got)
		}
		find(unix.ESRCH)
		time.Sleep(time.Second)
		if got := kinds(told()); !slices.Equal(got, []service.EventKind{service.Exited}) {
			t.Errorf("told %v, want its end", got)
		}
		find(unix.EMFILE)
		s.Adopt(Live{Tree: Tree{"b", 1}, Pid: 43, Started: 1}, nil) // which Close does not wait for
	})
}

// A hold of a process that lives is not released either.
func TestHoldOutlivesAWantOfDescriptors(t *testing.T) {
	client := exec.Command("sleep", "1000")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	st, err := readStat(client.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		gone := 0
		s, err := New(Config{Kernel: &fake{}, Post: func(in engine.Input) {
			mu.Lock()
			gone++
			mu.Unlock()
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(true)
		told := func() int {
			time.Sleep(time.Minute)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return gone
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		s.Do(engine.Effect{Kind: engine.EffectWatch, Client: &engine.Client{Pid: st.pid, Started: st.started}})
		early := told()
		client.Process.Kill()
		client.Wait()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if early != 0 {
			t.Error("it was told to be gone while it lived")
		} else if told() != 1 {
			t.Error("its end was not told")
		}
	})
}
