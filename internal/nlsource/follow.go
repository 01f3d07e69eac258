package nlsource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
	"hotsvc/internal/resync"
)

// Table is what a source knows; the follower is its only caller, in one
// goroutine.
type Table interface {
	// List makes the table anew. lost is false where only Ask wanted it.
	List(lost bool) error
	// Apply takes one message in; false refuses it as malformed. The bytes are
	// the caller's.
	Apply(msg []byte) bool
	// Take returns what changed since the last Take, or nil; with full, all
	// that there is, as a full batch. Moves may need more than one batch. A table
	// that cannot tell all yet owes the full batch, and gives it as soon as it
	// can: the source is not synced before.
	Take(full bool) []object.Batch
	// Due is when Tick is to be called next; the zero time is never.
	Due() time.Time
	Tick()
}

// Follower runs a source over one multicast socket.
type Follower struct {
	Name   string // the source's, in its status
	Family int
	Groups uint32 // when it opens
	Room   int    // bytes in the socket
	Table  Table

	mu     sync.Mutex
	socket *Socket
	asked  bool
	groups uint32
	status object.SourceStatus
	note   string // shown as the error of a source that works
}

// Limits of one wakeup, and of trying again.
const (
	burst      = 256 // messages read before the first report of them
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second
	reopen     = 5 * time.Second
)

// Ask wants a new list, though nothing was lost. It may be called at any time,
// from anywhere.
func (f *Follower) Ask() { f.ask(0) }

// AskGroups also subscribes to more groups first.
func (f *Follower) AskGroups(groups uint32) { f.ask(groups) }

func (f *Follower) ask(groups uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups |= groups
	f.asked = true
	if f.socket != nil {
		f.socket.Wake()
	}
}

// Wake has the table's Due looked at. It may be called at any time, from
// anywhere.
func (f *Follower) Wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.socket != nil {
		f.socket.Wake()
	}
}

// Join subscribes to one more group by its number, which may be above 32. Only
// the table calls it, from List: so each new socket gets it, too.
func (f *Follower) Join(group uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.socket == nil {
		return errors.New("nlsource: no socket")
	}
	return f.socket.conn.JoinGroup(group)
}

// Note sets what the status says of a source that works, but not as it should.
// Only the table calls it.
func (f *Follower) Note(text string) { f.note = text }

// Refuse counts messages that the table found forged or malformed inside a
// datagram of which it believed the rest.
func (f *Follower) Refuse() { f.status.Refused++ }

// Run follows the kernel until ctx ends. Where the socket does not open or
// breaks, it reports so and tries again.
func (f *Follower) Run(ctx context.Context, sink object.Sink) error {
	f.status = object.SourceStatus{Name: f.Name, State: object.Starting}
	for {
		err := f.follow(ctx, sink)
		if ctx.Err() != nil {
			return nil
		}
		was := f.status
		f.status.State, f.status.Error = object.Failed, fmt.Sprintf("%s: %v", f.Name, err)
		absent := errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
		if absent {
			f.status.State = object.Absent
		}
		if f.status != was { // failing again in the same way is no news
			sink(object.Report{Status: f.status})
		}
		if absent { // a running kernel does not get it
			<-ctx.Done()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reopen):
		}
	}
}

func (f *Follower) follow(ctx context.Context, sink object.Sink) error {
	socket, err := Open(f.Family, f.Groups, f.Room)
	if err != nil {
		return err
	}
	defer socket.Close()
	f.mu.Lock()
	f.socket = socket
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.socket = nil
		f.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, socket.Wake)
	defer stop()

	r := run{f: f, socket: socket, sink: sink, pause: firstPause}
	if f.status.State != object.Starting { // it failed before
		f.status.State, f.status.Error = object.Resyncing, ""
	}
	r.report(nil)
	for ctx.Err() == nil {
		if err := r.wakeup(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run is one life of the socket.
type run struct {
	f       *Follower
	socket  *Socket
	sink    object.Sink
	machine resync.Machine
	listed  bool // one list was made in this life: the next loss is a resync
	lost    bool // why the list is made
	pause   time.Duration
	wait    bool   // there is nothing to do but wait
	refused uint64 // as last reported
}

// wakeup takes one step: a message, or what its absence means.
func (r *run) wakeup(ctx context.Context) error {
	if r.wait {
		r.wait = r.socket.arm(r.f.Table.Due())
	}
	if r.asked() {
		if err := r.do(ctx, r.machine.Next(resync.Asked), nil); err != nil {
			return err
		}
		r.wait = false
	}
	if due := r.f.Table.Due(); !due.IsZero() && r.machine.State() == resync.Live && !time.Now().Before(due) {
		r.f.Table.Tick()
		r.wait = false
	}
	for n := 0; ; n++ {
		msg, err := r.socket.read(r.wait)
		r.wait = false
		event := resync.Message
		switch err {
		case nil:
		case errForged:
			r.f.status.Refused++
			continue
		case errEmpty:
			event = resync.Empty
		case errLost:
			event = resync.Lost
			r.f.status.Lost++
			r.lose()
		default:
			return fmt.Errorf("read socket: %w", err)
		}
		do := r.machine.Next(event)
		if err := r.do(ctx, do, msg); err != nil {
			return err
		}
		if do == resync.Tell || do == resync.TellAll {
			r.wait = true
			return nil
		}
		if n >= burst && r.machine.State() == resync.Live {
			r.tell(false) // a long burst is told in parts
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// asked also joins groups that were asked for since.
func (r *run) asked() bool {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	asked := r.f.asked
	r.f.asked = false
	for group := uint32(1); r.f.groups != 0; group++ {
		if bit := uint32(1) << (group - 1); r.f.groups&bit != 0 {
			_ = r.socket.conn.JoinGroup(group)
			r.f.groups &^= bit
			r.f.Groups |= bit // for the next socket
		}
	}
	return asked
}

// lose says at once that what is known may be wrong.
func (r *run) lose() {
	r.lost = true
	if r.f.status.State == object.Synced {
		r.f.status.State = object.Resyncing
		r.report(nil)
	}
}

func (r *run) do(ctx context.Context, do resync.Do, msg []byte) error {
	switch do {
	case resync.Apply:
		if r.f.Table.Apply(msg) {
			r.f.status.Events++
		} else {
			r.f.status.Refused++
		}
	case resync.List:
		if r.listed && r.lost {
			r.f.status.Resyncs++
		}
		if err := r.f.Table.List(r.lost || !r.listed); err != nil {
			r.f.status.Error = fmt.Sprintf("%s: list: %v", r.f.Name, err)
			if r.f.status.State != object.Starting {
				r.f.status.State = object.Resyncing
			}
			r.report(nil)
			r.lost = true
			return r.do(ctx, r.machine.Next(resync.Unlisted), nil)
		}
		r.listed = true
	case resync.Pause:
		// What comes meanwhile waits in the socket, or is lost and found by the
		// next list.
		select {
		case <-ctx.Done():
		case <-time.After(r.pause):
		}
		r.pause = min(2*r.pause, lastPause)
	case resync.TellAll:
		r.pause, r.lost, r.f.status.Error = firstPause, false, ""
		r.tell(true)
	case resync.Tell:
		r.tell(false)
	}
	return nil
}

func (r *run) tell(full bool) {
	batches := r.f.Table.Take(full)
	for i := range batches {
		if batches[i].Full {
			r.f.status.State = object.Synced
		}
		r.f.status.Error = r.f.note
		r.report(&batches[i])
	}
	if len(batches) == 0 && r.f.status.Refused != r.refused {
		r.report(nil)
	}
}

func (r *run) report(b *object.Batch) {
	r.refused = r.f.status.Refused
	r.sink(object.Report{Status: r.f.status, Batch: b})
}
