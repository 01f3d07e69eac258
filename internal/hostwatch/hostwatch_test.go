package hostwatch

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

type engine struct {
	mu      sync.Mutex
	store   object.Store
	status  object.SourceStatus
	reports int
}

func (e *engine) sink(r object.Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = r.Status
	e.reports++
	if r.Batch != nil {
		e.store.Apply(*r.Batch)
	}
}

func (e *engine) get(kind object.Kind, id string) *object.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.Get(object.Key{Kind: kind, ID: id})
}

func (e *engine) now() object.SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

type source interface {
	Run(context.Context, object.Sink) error
}

func start(t *testing.T, s source) *engine {
	t.Helper()
	e := &engine{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, e.sink) }()
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
	return e
}

func TestLiveMounts(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		e := start(t, NewMounts(MountsConfig{}))
		livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
		if o := e.get(object.Mount, "/sys"); o == nil || o.Words.Get("fstype") != "sysfs" {
			t.Errorf("/sys: %+v", o)
		}
		dir := t.TempDir() + "/a stick"
		if err := unix.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		mount := func(size string) {
			t.Helper()
			if err := unix.Mount("the source", dir, "tmpfs", unix.MS_NOEXEC, "size="+size); err != nil {
				t.Fatal(err)
			}
		}
		mount("64k")
		livetest.Until(t, "mount", func() bool { return e.get(object.Mount, dir) != nil })
		first := e.get(object.Mount, dir)
		for word, want := range map[string]string{"target": dir, "source": "the source", "fstype": "tmpfs", "ro": "false"} {
			if got := first.Words.Get(word); got != want {
				t.Errorf("%s = %q, want %q", word, got, want)
			}
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		livetest.Until(t, "read only", func() bool { return e.get(object.Mount, dir).Words.Get("ro") == "true" })
		if e.get(object.Mount, dir).Life != first.Life {
			t.Error("a remount is another life")
		}
		mount("128k") // on top
		livetest.Until(t, "on top", func() bool { return e.get(object.Mount, dir).Life != first.Life })
		for range 2 {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Fatal(err)
			}
		}
		livetest.Until(t, "no mount", func() bool { return e.get(object.Mount, dir) == nil })
	})
}

func TestMountsWithoutProc(t *testing.T) {
	e := start(t, NewMounts(MountsConfig{Mountinfo: "/nonexistent/mountinfo"}))
	livetest.Until(t, "failed", func() bool { return e.now().State == object.Failed })
	if got, want := e.now().Error, "mount: open /nonexistent/mountinfo: no such file or directory"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestParseMount(t *testing.T) {
	o, ok := parseMount(`36 35 98:0 /mnt1 /mnt\0402\134x rw,noatime master:1 propagate_from:2 - ext3 /dev/my\040root ro,errors=continue,noatime`)
	want := object.Words{
		"target": {`/mnt 2\x`}, "source": {"/dev/my root"}, "fstype": {"ext3"},
		"options": {"ro", "noatime", "errors=continue"}, "ro": {"true"},
	}
	if !ok || !o.Words.Equal(want) {
		t.Errorf("got %v %v", ok, o.Words)
	}
	if o.Life.Key.ID != `/mnt 2\x` || o.Life.Incarnation != (98<<20)<<32|36 {
		t.Errorf("life %+v", o.Life)
	}
	// An empty source leaves two spaces.
	if o, ok := parseMount("1 1 0:2 / / rw - tmpfs  rw"); !ok || o.Words["source"] != nil {
		t.Errorf("empty source: %v %v", ok, o.Words)
	}
	for _, bad := range []string{"", " - ", "a b c d e f - g h i", "36 35 98:0 / /mnt rw", "36 35 98 / /mnt rw - a b c"} {
		if _, ok := parseMount(bad); ok {
			t.Errorf("accepted %q", bad)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(`36 35 98:0 /mnt1 /mnt\0402\ rw,noatime master:1 - ext3 /dev/root ro` + "\n")
	f.Add("\n\\ - \\0")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, _ := parseMounts(text)
		for target, o := range mounts {
			if o.Words.Get("target") != target || len(o.Words["options"]) == 0 {
				t.Errorf("%q: %+v", target, o)
			}
		}
	})
}

func TestClockIsToldWhenItChanges(t *testing.T) {
	var bound atomic.Int64
	bound.Store(unknownError)
	e := start(t, NewClock(ClockConfig{
		MaxError: func() (int64, error) { return bound.Load(), nil },
		Soon:     time.Millisecond, Late: time.Millisecond,
	}))
	is := func(want string) {
		t.Helper()
		livetest.Until(t, "synchronized="+want, func() bool {
			o := e.get(object.Clock, "system")
			return o != nil && o.Words.Get("synchronized") == want
		})
	}
	is("false")
	bound.Store(500)
	is("true")
	bound.Store(unknownError)
	is("false")
	if e.mu.Lock(); e.reports != 3 {
		t.Errorf("%d reports for 3 states", e.reports)
	}
	e.mu.Unlock()
}

func TestTheRealClockIsAsked(t *testing.T) {
	e := start(t, NewClock(ClockConfig{}))
	livetest.Until(t, "an answer", func() bool { return e.get(object.Clock, "system") != nil })
	t.Logf("%+v", e.get(object.Clock, "system").Words)
}
