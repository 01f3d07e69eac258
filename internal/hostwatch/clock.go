package hostwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// ClockConfig says how the source asks. Its zero value is right for the daemon.
type ClockConfig struct {
	MaxError func() (int64, error) // in microseconds, instead of adjtimex's
	Soon     time.Duration         // between looks while not synchronized
	Late     time.Duration         // between looks while synchronized
}

// Clock is the source of the one clock object.
type Clock struct {
	c      ClockConfig
	status object.SourceStatus
	told   bool
	synced bool
}

// unknownError is the error from which on the kernel calls its clock
// unsynchronized: NTP_PHASE_LIMIT of 16 s, in microseconds (include/linux/timex.h).
const unknownError = 16_000_000

// NewClock makes a source; Run starts it.
func NewClock(c ClockConfig) *Clock {
	if c.MaxError == nil {
		c.MaxError = maxError
	}
	if c.Soon == 0 {
		c.Soon = time.Second
	}
	if c.Late == 0 {
		c.Late = time.Minute
	}
	return &Clock{c: c, status: object.SourceStatus{Name: "clock", State: object.Starting}}
}

// maxError asks the kernel, without changing anything (adjtimex(2)). The error
// bound is asked for and not STA_UNSYNC, which some daemons leave set so that
// the kernel keeps its hands off the RTC. Setting the clock by hand makes the
// bound unknown; without a time source it grows to unknown within nine hours.
func maxError() (int64, error) {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		return 0, fmt.Errorf("adjtimex: %w", err)
	}
	return int64(tx.Maxerror), nil
}

// Run reports the clock to sink until ctx ends. Nothing tells when a time
// daemon has disciplined the clock, so it is asked again: often while the answer
// is no, and somebody may wait for it, seldom while it is yes. A step, which
// takes the answer back, is told at once.
func (k *Clock) Run(ctx context.Context, sink object.Sink) error {
	steps := newSteps()
	defer steps.close()
	for ctx.Err() == nil {
		bound, err := k.c.MaxError()
		if err != nil {
			k.status.State, k.status.Error = object.Failed, fmt.Sprintf("clock: %v", err)
			sink(object.Report{Status: k.status})
			pause(ctx, retry)
			continue
		}
		k.tell(bound < unknownError, sink)
		again := k.c.Soon
		if k.synced {
			again = k.c.Late
		}
		if steps.wait(ctx, again) {
			k.status.Events++
		}
	}
	return nil
}

func (k *Clock) tell(synced bool, sink object.Sink) {
	if k.told && k.synced == synced && k.status.State == object.Synced {
		return
	}
	cause := "adjtimex"
	if !k.told {
		cause = "list"
	}
	k.told, k.synced = true, synced
	k.status.State, k.status.Error = object.Synced, ""
	sink(object.Report{Status: k.status, Batch: &object.Batch{
		Kinds: []object.Kind{object.Clock}, Full: true,
		Put: []object.Object{{
			Life:  object.Life{Key: object.Key{Kind: object.Clock, ID: "system"}, Incarnation: 1},
			Words: object.Words{"synchronized": object.Bool(synced)},
			Cause: cause,
		}},
	}})
}

// steps waits for the clock to be set.
type steps struct {
	timer *os.File
	fd    int
}

// newSteps arms a timer that never ends, but is cancelled when the clock is set
// (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). Without one, a step is seen at
// the next look.
func newSteps() *steps {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &steps{}
	}
	s := &steps{timer: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
	s.arm()
	return s
}

func (s *steps) arm() {
	far := unix.ItimerSpec{Value: unix.NsecToTimespec(1 << 62)}
	_ = unix.TimerfdSettime(s.fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &far, nil)
}

// wait returns true when the clock was set before the time was over.
func (s *steps) wait(ctx context.Context, d time.Duration) bool {
	if s.timer == nil || s.timer.SetReadDeadline(time.Now().Add(d)) != nil {
		pause(ctx, d)
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = s.timer.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var n [8]byte
	_, err := s.timer.Read(n[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if !errors.Is(err, unix.ECANCELED) {
		pause(ctx, d) // it never ends, so this cannot be; but never spin
		return false
	}
	s.arm()
	return true
}

func (s *steps) close() {
	if s.timer != nil {
		_ = s.timer.Close()
	}
}
