package hostwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// MountsConfig says where the source looks. Its zero value is right for the
// daemon.
type MountsConfig struct {
	Mountinfo string // instead of /proc/self/mountinfo
}

// Mounts is the source of mounts.
type Mounts struct {
	file   string
	status object.SourceStatus
	known  map[string]object.Object // by target
	buf    []byte
}

// retry is how long a source waits before it tries again what failed.
const retry = 30 * time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// NewMounts makes a source; Run starts it.
func NewMounts(c MountsConfig) *Mounts {
	if c.Mountinfo == "" {
		c.Mountinfo = "/proc/self/mountinfo"
	}
	return &Mounts{file: c.Mountinfo, status: object.SourceStatus{Name: "mount", State: object.Starting}}
}

// Run reports mounts to sink until ctx ends.
func (m *Mounts) Run(ctx context.Context, sink object.Sink) error {
	for {
		err := m.follow(ctx, sink)
		if ctx.Err() != nil {
			return nil
		}
		m.status.State, m.status.Error = object.Failed, fmt.Sprintf("mount: %v", err)
		sink(object.Report{Status: m.status})
		pause(ctx, retry)
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (m *Mounts) follow(ctx context.Context, sink object.Sink) error {
	f, err := os.Open(m.file)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	m.known = nil
	for ctx.Err() == nil {
		// The kernel wakes who polls the file whenever the table changes
		// (proc_pid_mountinfo(5)). The file can always be read, so it is not
		// the reading that waits: the runtime calls again after each wakeup,
		// and keeps a wakeup that comes while the table is being read.
		var b *object.Batch
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			b, failed = m.read(int(fd))
			return b != nil || failed != nil
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		m.status.State, m.status.Error = object.Synced, ""
		sink(object.Report{Status: m.status, Batch: b})
	}
	return nil
}

// read takes in the whole table and returns what is new in it, if anything.
func (m *Mounts) read(fd int) (*object.Batch, error) {
	text, err := m.text(fd)
	if err != nil {
		return nil, err
	}
	now, refused := parseMounts(string(text))
	m.status.Refused += refused
	b := object.Batch{Kinds: []object.Kind{object.Mount}, Full: m.known == nil}
	for _, target := range sorted(now) {
		o := now[target]
		if was, known := m.known[target]; known && was.Life == o.Life && was.Words.Equal(o.Words) {
			now[target] = was
			continue
		}
		o.Cause = "mountinfo"
		if b.Full {
			o.Cause = "list"
		}
		now[target] = o
		b.Put = append(b.Put, o)
	}
	for _, target := range sorted(m.known) {
		if _, there := now[target]; !there {
			b.Gone = append(b.Gone, m.known[target].Life.Key)
		}
	}
	m.known = now
	m.status.Events++
	if !b.Full && len(b.Put) == 0 && len(b.Gone) == 0 {
		return nil, nil
	}
	return &b, nil
}

// text reads the file from its start. The file is read below the runtime's
// poller, in whose callback we are.
func (m *Mounts) text(fd int) ([]byte, error) {
	m.buf = m.buf[:0]
	for {
		m.buf = slices.Grow(m.buf, 4096)
		n, err := unix.Pread(fd, m.buf[len(m.buf):cap(m.buf)], int64(len(m.buf)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return m.buf, nil
		default:
			m.buf = m.buf[:len(m.buf)+n]
		}
	}
}
