package linkwatch

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// write makes a file below a directory, with the directories to it.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := dir + "/" + name
	if err := os.MkdirAll(file[:strings.LastIndexByte(file, '/')], 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// machine is the machine's first network namespace with a udevd, as the source
// sees it.
func machine(t *testing.T) Config {
	t.Helper()
	c := Config{Proc: t.TempDir(), Run: t.TempDir()}
	write(t, c.Proc, "sys/net/core/dev_weight", "64\n")
	write(t, c.Run, "udev/control", "")
	return c
}

// done is what udevd leaves when it is done with a link.
func done(t *testing.T, c Config, index int) {
	t.Helper()
	write(t, c.Run, fmt.Sprintf("udev/data/n%d", index), "I:1\n")
}

func newlink(index int, name string) []byte {
	return datagram(unix.RTM_NEWLINK, ifinfo(unix.AF_UNSPEC, index, 0x1002, named(name)))
}

// show is a Take as one line: the names that were told, and what went.
func show(batches []object.Batch) string {
	var words []string
	for _, b := range batches {
		if b.Full {
			words = append(words, "full")
		}
		for _, o := range b.Put {
			words = append(words, o.Words.Get("name"))
		}
		for _, k := range b.Gone {
			words = append(words, "-"+k.ID)
		}
	}
	return strings.Join(words, " ")
}

func TestWhenUdevdIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		mode              string
		first, there, now bool // in the first namespace; a udevd; told at once
	}{
		{"", true, true, false},
		{"auto", true, true, false},
		{"auto", true, false, true},
		{"auto", false, true, true},
		{"yes", true, false, false},
		{"yes", false, true, true},
		{"no", true, true, true},
	} {
		config := Config{Sys: "/nonexistent", Proc: t.TempDir(), Run: t.TempDir(), Udev: c.mode}
		if c.first {
			write(t, config.Proc, "sys/net/core/dev_weight", "64\n")
		}
		if c.there {
			write(t, config.Run, "udev/control", "")
		}
		table := newTable(config)
		table.Apply(newlink(2, "eth0"))
		if now := show(table.Take(false)) == "eth0"; now != c.now || now != table.Due().IsZero() {
			t.Errorf("%+v: told at once: %v, next look %v", c, now, table.Due())
		}
	}
}

// What a first full list does not name is gone to the engine, with all that an
// earlier daemon started for it: so the list is full only when it is whole.
func TestTheFirstListIsWhole(t *testing.T) {
	config := machine(t)
	config.Sys = "/nonexistent"
	done(t, config, 1)
	table := newTable(config)
	for i, name := range []string{"lo", "eth0", "eth1"} {
		table.Apply(newlink(i+1, name))
	}
	step := func(full bool, want string) {
		t.Helper()
		if got := show(table.Take(full)); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	step(true, "lo")
	step(false, "")
	table.Apply(newlink(3, "wan0"))
	done(t, config, 3)
	step(false, "wan0")
	table.Apply(datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, 3, 0)))
	step(false, "-3")
	done(t, config, 2)
	step(false, "full lo eth0")

	// From now on a link that waits is one that is not there yet.
	table.Apply(newlink(4, "usb0"))
	step(false, "")
	step(true, "full lo eth0")
	table.Apply(datagram(unix.RTM_DELLINK, ifinfo(unix.AF_UNSPEC, 4, 0)))
	step(false, "") // it was never told
	if !table.Due().IsZero() {
		t.Error("it waits for a link that is gone")
	}
	// What was told stays, whatever becomes of udevd's files.
	if err := os.RemoveAll(config.Run + "/udev/data"); err != nil {
		t.Fatal(err)
	}
	table.Apply(newlink(2, "lan0"))
	step(false, "lan0")
}

// A udevd that never gets done costs each link 3 s and a few looks, and the log
// one line.
func TestUdevdIsNeverDone(t *testing.T) {
	config := machine(t)
	config.Sys = "/nonexistent"
	synctest.Test(t, func(t *testing.T) {
		table := newTable(config)
		var logged []string
		note := ""
		table.udevd.log = func(line string) { logged = append(logged, line) }
		table.udevd.note = func(text string) { note = text }
		table.Take(true)
		began, looks := time.Now(), 0
		until := func(want string) {
			t.Helper()
			for {
				looks++
				if got := show(table.Take(false)); got != "" {
					if got != want {
						t.Errorf("told %q, want %q", got, want)
					}
					return
				}
				time.Sleep(time.Until(table.Due()))
				table.Tick()
			}
		}
		table.Apply(newlink(2, "eth0"))
		until("eth0")
		if d := time.Since(began); d != patience || looks > 30 {
			t.Errorf("told after %v and %d looks", d, looks)
		}
		table.Apply(newlink(3, "eth1"))
		until("eth1")
		if len(logged) != 1 || !strings.Contains(logged[0], "eth0") || !strings.Contains(note, "2 of the links, the last was eth1") {
			t.Errorf("log %q, note %q", logged, note)
		}
		if !table.Due().IsZero() {
			t.Error("it still waits")
		}
	})
}

// How much longer than udevd itself a link waits.
func TestTheWaitIsNotMuchLongerThanUdevd(t *testing.T) {
	for _, takes := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second} {
		config := machine(t)
		config.Sys = "/nonexistent"
		synctest.Test(t, func(t *testing.T) {
			table := newTable(config)
			table.Take(true)
			table.Apply(newlink(2, "eth0"))
			began := time.Now()
			table.Take(false)
			for time.Since(began) < takes {
				time.Sleep(min(time.Until(table.Due()), takes-time.Since(began)))
				if time.Since(began) == takes {
					done(t, config, 2)
				}
				table.Tick()
				table.Take(false)
			}
			for !table.links[2].whole {
				time.Sleep(time.Until(table.Due()))
				table.Tick()
				table.Take(false)
			}
			if late := time.Since(began) - takes; late > takes/4+firstLook {
				t.Errorf("udevd took %v, the link waited %v longer", takes, late)
			}
		})
	}
}

// udevd's file is there, and the message of the rename is still in the socket.
func TestTheOldNameIsNotTold(t *testing.T) {
	config := machine(t)
	config.Sys = t.TempDir()
	done(t, config, 2)
	write(t, config.Sys, "class/net/wan0/ifindex", "2\n")
	table := newTable(config)
	table.ours = true
	table.Take(true)
	table.Apply(newlink(2, "eth0"))
	if got := show(table.Take(false)); got != "" {
		t.Errorf("told %q", got)
	}
	table.Apply(newlink(2, "wan0"))
	if got := show(table.Take(false)); got != "wan0" {
		t.Errorf("told %q", got)
	}
}

// udevd takes its time, and renames: the link is told once, whole, under the
// name that it keeps, and nobody is told to set it up before.
func TestLiveUdevdRenames(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		config := machine(t)
		done(t, config, ifindex(t, "lo"))
		w, e := start(t, config)
		add(t, veth("va", "vb"))
		index, peer := ifindex(t, "va"), ifindex(t, "vb")
		done(t, config, peer)
		e.has(t, "vb", "name", "vb") // links do not wait for each other
		up(t, "vb")
		e.has(t, "vb", "up", "true")
		time.Sleep(50 * time.Millisecond)
		if h := e.history(index, "name"); h != nil {
			t.Errorf("told before udevd was done: %q", h)
		}
		change(t, "va", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan0") })
		done(t, config, index)
		e.has(t, "wan0", "wireless", "false")
		up(t, "wan0")
		e.has(t, "wan0", "running", "true")
		if h := e.history(index, "name"); !slices.Equal(h, []string{"name=wan0"}) {
			t.Errorf("history %q", h)
		}

		// One that goes before udevd is done was never there.
		add(t, veth("vc", "vd"))
		short := ifindex(t, "vc")
		change(t, "vc", netlink.LinkDel)
		add(t, veth("ve", "vf"))
		done(t, config, ifindex(t, "ve"))
		done(t, config, ifindex(t, "vf"))
		e.has(t, "ve", "name", "ve")
		reaches(t, e)
		if h := e.history(short, "name"); h != nil {
			t.Errorf("a link that was never whole: %q", h)
		}

		// What was told stays told, whatever becomes of udevd's files.
		if err := os.RemoveAll(config.Run + "/udev/data"); err != nil {
			t.Fatal(err)
		}
		w.SetAttrs([]string{"address"}) // makes a list
		e.has(t, "wan0", "ATTR{address}", e.link("wan0").Words.Get("mac"))
		if h := e.history(index, "name"); !slices.Equal(h, []string{"name=wan0"}) {
			t.Errorf("history %q", h)
		}
	})
}

// At boot the links may be there before udevd is done with them.
func TestLiveColdplugBeforeUdevd(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		config := machine(t)
		add(t, veth("va", "vb"))
		for _, name := range []string{"lo", "vb"} {
			done(t, config, ifindex(t, name))
		}
		w, e := New(config), &engine{}
		ctx, cancel := context.WithCancel(context.Background())
		var ended atomic.Bool
		go func() { _ = w.Run(ctx, e.sink); ended.Store(true) }()
		e.has(t, "vb", "name", "vb")
		w.SetAttrs([]string{"address"}) // the rules ask for a list meanwhile
		e.has(t, "vb", "ATTR{address}", e.link("vb").Words.Get("mac"))
		if s := e.now(); s.State != object.Starting || e.link("va") != nil {
			t.Errorf("state %s before all is whole", s.State)
		}
		index := ifindex(t, "va")
		change(t, "va", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan0") })
		done(t, config, index)
		e.has(t, "wan0", "name", "wan0")
		livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
		if h := e.history(index, "name"); !slices.Equal(h, []string{"name=wan0"}) {
			t.Errorf("history %q", h)
		}
		reaches(t, e)
		cancel()
		livetest.Until(t, "the end", ended.Load)
	})
}

// A udevd that is dead: the link is told nevertheless, and the status says so.
func TestLiveDeadUdevd(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		config := machine(t)
		done(t, config, ifindex(t, "lo"))
		var logged atomic.Int64
		config.Log = func(string) { logged.Add(1) }
		_, e := start(t, config)
		began := time.Now()
		add(t, veth("va", "vb"))
		e.has(t, "va", "name", "va")
		e.has(t, "vb", "name", "vb")
		if d := time.Since(began); d < patience || d > patience+2*time.Second {
			t.Errorf("after %v", d)
		}
		if s := e.now(); s.State != object.Synced || !strings.Contains(s.Error, "udevd was not done in 3s with 2 of the links") || logged.Load() != 1 {
			t.Errorf("status %+v, %d lines", s, logged.Load())
		}
	})
}
