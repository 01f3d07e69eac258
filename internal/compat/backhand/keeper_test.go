package backhand

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// tale is what a keeper does in make-believe time.
type tale struct {
	keeper
	began time.Time
	lines []string
	lives []time.Duration // of each child, until it ends by itself; then they live on
	deaf  bool            // to SIGTERM
	fails int             // launches that fail first
}

func newTale(lives ...time.Duration) *tale {
	s := &tale{began: time.Now(), lives: lives}
	s.keeper = keeper{name: "run", gap: launchGap, grace: killGrace, launch: s.begin,
		log: func(format string, args ...any) {
			s.lines = append(s.lines, fmt.Sprintf("%v %s", time.Since(s.began), fmt.Sprintf(format, args...)))
		}}
	return s
}

func (s *tale) begin() (*child, error) {
	if s.fails > 0 {
		s.fails--
		return nil, errors.New("no such file")
	}
	ended := make(chan string, 1)
	var alone *time.Timer
	if len(s.lives) > 0 {
		alone = time.AfterFunc(s.lives[0], func() { ended <- "child exited with status 3" })
		s.lives = s.lives[1:]
	}
	return &child{func(signal syscall.Signal) {
		if s.deaf && signal == syscall.SIGTERM {
			return
		}
		if alone == nil || alone.Stop() {
			ended <- fmt.Sprintf("child died from signal %d", signal)
		}
	}, ended}, nil
}

func (s *tale) until(t *testing.T, stopAfter time.Duration, want ...string) {
	t.Helper()
	stop := make(chan struct{})
	time.AfterFunc(stopAfter, func() { close(stop) })
	s.run(stop)
	if !slices.Equal(s.lines, want) {
		t.Errorf("got\n%q\nwant\n%q", s.lines, want)
	}
}

// TestTenSecondsBetweenLaunches: and none for a child that has lived as long.
func TestTenSecondsBetweenLaunches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newTale(time.Second, 0, 12*time.Second).until(t, 45*time.Second,
			"0s launching child run", "1s child exited with status 3",
			"10s launching child run", "10s child exited with status 3",
			"20s launching child run", "32s child exited with status 3",
			"32s launching child run",
			"45s terminating child", "45s child died from signal 15")
	})
}

// TestStopDuringTheWaitLaunchesNothing: and takes no time.
func TestStopDuringTheWaitLaunchesNothing(t *testing.T) {
	for _, at := range []time.Duration{5 * time.Second, 10*time.Second - 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newTale(time.Second)
			s.until(t, at, "0s launching child run", "1s child exited with status 3")
			if took := time.Since(s.began); took != at {
				t.Errorf("stopped after %v", took)
			}
		})
	}
}

// TestDeafChildIsKilledAfterTenSeconds.
func TestDeafChildIsKilledAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTale()
		s.deaf = true
		s.until(t, 3*time.Second, "0s launching child run", "3s terminating child", "13s killing child", "13s child died from signal 9")
	})
}

// TestWhatCannotBeRunIsTriedAgain.
func TestWhatCannotBeRunIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTale()
		s.fails = 2
		s.until(t, 25*time.Second,
			"0s launching child run", "0s cannot run run: no such file",
			"10s launching child run", "10s cannot run run: no such file",
			"20s launching child run", "25s terminating child", "25s child died from signal 15")
	})
}
