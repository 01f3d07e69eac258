package nlsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
	"hotsvc/internal/resync"
)

// empty is a table of nothing, which counts what is asked of it.
type empty struct {
	lists, waits atomic.Int64
	failing      atomic.Int64 // so many lists fail
}

func (e *empty) List(bool) error {
	e.lists.Add(1)
	if e.failing.Add(-1) >= 0 {
		return errors.New("dump interrupted")
	}
	return nil
}
func (e *empty) Apply([]byte) bool { return true }
func (e *empty) Take(full bool) []object.Batch {
	if full {
		return []object.Batch{{Full: true}}
	}
	return nil
}
func (e *empty) Due() time.Time { e.waits.Add(1); return time.Time{} }
func (e *empty) Tick()          {}

type log struct {
	mu      sync.Mutex
	reports []object.Report
}

func (l *log) sink(r object.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, r)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, r := range l.reports {
		line := string(r.Status.State)
		if r.Status.Error != "" {
			line += " (" + r.Status.Error + ")"
		}
		if r.Batch != nil {
			line += fmt.Sprintf(" full=%v", r.Batch.Full)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func start(t *testing.T, f *Follower) *log {
	t.Helper()
	l := &log{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, l.sink) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("does not end")
		}
	})
	return l
}

func says(t *testing.T, l *log, want string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("reports: %s", l)
		}
	}()
	livetest.Until(t, want, func() bool { return l.String() == want })
}

func TestAKernelWithoutTheFamily(t *testing.T) {
	table := &empty{}
	l := start(t, &Follower{Name: "x", Family: 31, Groups: 1, Room: 4096, Table: table})
	says(t, l, "absent (x: open socket: socket: protocol not supported)")
	if table.lists.Load() != 0 {
		t.Error("it lists what it cannot follow")
	}
}

func TestAnIdleSourceSleeps(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		table := &empty{}
		f := &Follower{Name: "x", Family: unix.NETLINK_KOBJECT_UEVENT, Groups: 1, Room: 4096, Table: table}
		l := start(t, f)
		says(t, l, "starting; synced full=true")
		var before, after unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
		waits := table.waits.Load()
		time.Sleep(100 * time.Millisecond) // what must not happen cannot be waited for
		_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
		if n := table.waits.Load() - waits; n > 2 {
			t.Errorf("woke %d times for nothing", n)
		}
		if ms := (after.Utime.Nano() - before.Utime.Nano()) / 1e6; ms > 30 {
			t.Errorf("%d ms of processor in 100 idle ones", ms)
		}
		f.Ask()
		says(t, l, "starting; synced full=true; synced full=true")
		if table.lists.Load() != 2 {
			t.Errorf("%d lists", table.lists.Load())
		}
	})
}

func TestAListThatFailsIsMadeAgain(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		table := &empty{}
		table.failing.Store(2)
		f := &Follower{Name: "x", Family: unix.NETLINK_KOBJECT_UEVENT, Groups: 1, Room: 4096, Table: table}
		l := start(t, f)
		says(t, l, "starting; starting (x: list: dump interrupted); starting (x: list: dump interrupted); synced full=true")
	})
}

// debtor cannot tell all at first.
type debtor struct {
	empty
	owed, paid atomic.Bool
}

func (d *debtor) Take(full bool) []object.Batch {
	d.owed.Store(d.owed.Load() || full)
	if d.owed.Load() && d.paid.Load() {
		d.owed.Store(false)
		return []object.Batch{{Full: true}}
	}
	if full {
		return []object.Batch{{}}
	}
	return nil
}

func (d *debtor) Due() time.Time {
	if d.owed.Load() {
		return time.Now().Add(time.Millisecond)
	}
	return time.Time{}
}

// A source that has told only a part of its first list is not synced.
func TestASourceIsSyncedWithAFullBatch(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		table := &debtor{}
		f := &Follower{Name: "x", Family: unix.NETLINK_KOBJECT_UEVENT, Groups: 1, Room: 4096, Table: table}
		l := start(t, f)
		says(t, l, "starting; starting full=false")
		f.Ask()
		says(t, l, "starting; starting full=false; starting full=false")
		table.paid.Store(true)
		says(t, l, "starting; starting full=false; starting full=false; synced full=true")
		f.Ask()
		says(t, l, "starting; starting full=false; starting full=false; synced full=true; synced full=true")
	})
}

// What is lost before it was synced does not make it more than starting: the
// engine takes nothing as absent until then.
func TestALossBeforeItIsSynced(t *testing.T) {
	f := &Follower{Table: &debtor{}, status: object.SourceStatus{State: object.Starting}}
	l := &log{}
	r := run{f: f, sink: l.sink}
	for _, e := range []resync.Event{resync.Empty, resync.Empty} { // to where it is live
		_ = r.do(t.Context(), r.machine.Next(e), nil)
	}
	if r.machine.State() != resync.Live {
		t.Fatal("not live")
	}
	r.lose()
	if s := l.String(); s != "starting full=false" {
		t.Errorf("reports %s", s)
	}
}

func TestAskFromManySidesIsNeverLost(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		table := &empty{}
		f := &Follower{Name: "x", Family: unix.NETLINK_ROUTE, Groups: 1, Room: 4096, Table: table}
		start(t, f)
		for range 300 {
			before := table.lists.Load()
			f.AskGroups(1 << (unix.RTNLGRP_IPV4_ROUTE - 1))
			livetest.Until(t, "one more list", func() bool { return table.lists.Load() > before })
		}
	})
}

// eager is a table that joins a group when it lists, and is due when it says so.
type eager struct {
	empty
	follow *Follower
	joined chan error
	due    atomic.Bool
	ticks  atomic.Int64
}

func (e *eager) List(bool) error {
	e.joined <- e.follow.Join(40) // RTNLGRP_… has more than the 32 of a bit mask
	return nil
}
func (e *eager) Due() time.Time {
	if e.due.Load() {
		return time.Unix(1, 0)
	}
	return time.Time{}
}
func (e *eager) Tick() { e.due.Store(false); e.ticks.Add(1) }

func TestJoinAndWake(t *testing.T) {
	e := &eager{joined: make(chan error, 1)}
	f := &Follower{Name: "test", Family: unix.NETLINK_GENERIC, Groups: 1 << 15, Table: e}
	e.follow = f
	if f.Join(40) == nil {
		t.Error("joined without a socket")
	}
	f.Wake() // nobody sleeps yet
	l := start(t, f)
	if err := <-e.joined; err != nil && !errors.Is(err, unix.EINVAL) { // few families: no such group here
		t.Error(err)
	}
	livetest.Until(t, "synced", func() bool { return strings.Contains(l.String(), "synced") })
	for n := range int64(20) {
		e.due.Store(true)
		f.Wake()
		livetest.Until(t, "a tick", func() bool { return e.ticks.Load() == n+1 })
	}
}
