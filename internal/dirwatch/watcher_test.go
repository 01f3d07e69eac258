package dirwatch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// world is a directory in which trees come and go, and a watcher of them.
type world struct {
	*testing.T
	dir  string
	told chan time.Time
}

func watch(t *testing.T, trees ...string) *world {
	w := &world{T: t, dir: t.TempDir(), told: make(chan time.Time, 100)}
	watcher, err := New(func() { w.told <- time.Now() }, func(line string) { t.Log(line) })
	if err != nil {
		t.Skip(err)
	}
	for i := range trees {
		trees[i] = w.path(trees[i])
	}
	watcher.Follow(trees)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- watcher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) mkdir(name string) { w.Helper(); w.must(os.MkdirAll(w.path(name), 0o755)) }
func (w *world) write(name string) {
	w.Helper()
	w.must(os.WriteFile(w.path(name), []byte("#!/bin/sh\n"), 0o755))
}
func (w *world) link(to, name string)   { w.Helper(); w.must(os.Symlink(to, w.path(name))) }
func (w *world) remove(name string)     { w.Helper(); w.must(os.RemoveAll(w.path(name))) }
func (w *world) rename(from, to string) { w.Helper(); w.must(os.Rename(w.path(from), w.path(to))) }

// tells waits until a change is told.
func (w *world) tells(what string) {
	w.Helper()
	select {
	case <-w.told:
	case <-time.After(5 * time.Second):
		w.Fatalf("%s: nobody was told", what)
	}
}

// silent makes sure that nothing was told of what happened so far: a change that
// is told comes after it, alone.
func (w *world) silent(what, canary string) {
	w.Helper()
	time.Sleep(3 * quiet) // what would be told is told by then, and not with the canary
	w.write(canary)
	w.tells(canary)
	select {
	case <-w.told:
		w.Errorf("%s was told", what)
	case <-time.After(2 * quiet):
	}
}

func TestWhatComesAndGoesIsTold(t *testing.T) {
	w := watch(t, "sv")
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"the tree itself comes", func() { w.mkdir("sv") }},
		{"a service directory comes", func() { w.mkdir("sv/web") }},
		{"run comes", func() { w.write("sv/web/run") }},
		{"run loses its x bit", func() { w.must(os.Chmod(w.path("sv/web/run"), 0o644)) }},
		{"log comes", func() { w.mkdir("sv/web/log") }},
		{"log/run comes", func() { w.write("sv/web/log/run") }},
		{"control comes", func() { w.mkdir("sv/web/control") }},
		{"control/t comes", func() { w.write("sv/web/control/t") }},
		{"down goes", func() { w.write("sv/web/down"); w.remove("sv/web/down") }},
		{"a service is renamed", func() { w.rename("sv/web", "sv/.web") }},
		{"and back", func() { w.rename("sv/.web", "sv/web") }},
		{"a service goes", func() { w.remove("sv/web") }},
		{"a program comes", func() { w.write("sv/prog") }},
		{"a file is written anew", func() { w.write("sv/prog") }},
		{"the tree is renamed", func() { w.rename("sv", "old") }},
		{"another tree takes its place", func() { w.mkdir("new/web"); w.rename("new", "sv") }},
		{"something happens in that one", func() { w.write("sv/web/run") }},
		{"the tree goes", func() { w.remove("sv") }},
		{"and comes again", func() { w.mkdir("sv") }},
	} {
		step.do()
		w.tells(step.what)
		for len(w.told) > 0 {
			<-w.told
		}
	}
}

// A tree and its services may be reached over links: each link on the way, and
// what it leads to, may be replaced.
func TestLinksOnTheWay(t *testing.T) {
	w := watch(t, "run/current")
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"the directory above the link comes", func() { w.mkdir("run") }},
		{"the link comes, to nowhere yet", func() { w.link("../etc/a", "run/current") }},
		{"what it leads to comes", func() { w.mkdir("etc"); w.mkdir("etc/a") }},
		{"a linked service comes", func() { w.mkdir("pkg/web"); w.link("../../pkg/web", "etc/a/web") }},
		{"something happens where it leads", func() { w.write("pkg/web/run") }},
		{"that directory goes", func() { w.remove("pkg/web") }},
		{"and comes again", func() { w.mkdir("pkg/web") }},
		{"another tree takes over", func() {
			w.mkdir("etc/b")
			w.link("../etc/b", "run/next")
			w.rename("run/next", "run/current")
		}},
		{"something happens there", func() { w.mkdir("etc/b/db") }},
		{"a directory on the way is moved", func() { w.rename("etc", "etc2") }},
		{"and comes back", func() { w.rename("etc2", "etc") }},
		{"a linked file comes", func() { w.write("pkg/app.toml"); w.link("../../pkg/app.toml", "etc/b/app.toml") }},
		{"it is written anew", func() { w.write("pkg/app.toml") }},
		{"a loop comes", func() { w.link("loop", "etc/b/loop") }},
	} {
		step.do()
		w.tells(step.what)
		for time.Sleep(2 * quiet); len(w.told) > 0; {
			<-w.told
		}
	}
	w.remove("etc/a")
	w.mkdir("etc/a")
	w.silent("the tree that is not looked at any more", "etc/b/canary")
}

func TestWhatServicesWriteIsNotTold(t *testing.T) {
	w := watch(t, "sv")
	w.mkdir("sv/web/log")
	w.tells("a service")
	w.mkdir("sv/web/supervise")
	w.write("sv/web/run.out")
	w.write("sv/web/supervise/status.new")
	w.rename("sv/web/supervise/status.new", "sv/web/supervise/status")
	w.write("sv/web/log/current")
	w.write("sv/web/run~")
	w.silent("a service's own file", "sv/web/finish")
}

// Many changes are told together, soon after the last; those that go on and on
// are told meanwhile.
func TestChangesAreToldTogether(t *testing.T) {
	w := watch(t, "sv")
	w.mkdir("sv")
	w.tells("the tree")
	for i := range 50 {
		w.write(fmt.Sprintf("sv/s%d", i))
	}
	last := time.Now()
	w.tells("50 programs")
	if late := time.Since(last); late > patience {
		t.Errorf("told %v after the last", late)
	}
	begin := time.Now()
	for len(w.told) == 0 {
		w.write("sv/busy")
		if time.Sleep(quiet / 6); time.Since(begin) > 5*time.Second {
			t.Fatal("told nothing while it goes on")
		}
	}
}

// After an overflow nobody knows what was lost: it is told as a change.
func TestOverflowIsAChange(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Skip(err)
	}
	var n int
	fmt.Sscan(string(limit), &n)
	if n > 100000 {
		t.Skipf("%d events would have to be made", n)
	}
	dir := t.TempDir()
	told := make(chan bool, 100)
	watcher, err := New(func() { told <- true }, func(string) {})
	if err != nil {
		t.Skip(err)
	}
	watcher.Follow([]string{dir})
	for i := range n + 10 { // nobody reads yet; the same event twice would be one
		if err := os.WriteFile(filepath.Join(dir, []string{"#a", "#b"}[i%2]), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go watcher.Run(ctx)
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Error("nobody was told")
	}
}
