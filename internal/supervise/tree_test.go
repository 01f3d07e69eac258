package supervise

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

func TestKillModeMain(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		w.spawn("a", 1, "sh", "-c", "(echo 'exec sleep 1000' | setsid sh -s & echo $! >"+file+") ; exec sleep 1000")
		w.event("a", 1, service.Spawned)
		session := pidIn(t, file)
		t.Cleanup(func() {
			p, _ := os.FindProcess(session)
			p.Kill()
		})
		w.Do(engine.Effect{Kind: engine.EffectKill, Service: "a", Attempt: 1}) // without KillAll: out of patience with the main process
		if e := w.event("a", 1, service.Exited); e.Left < 1 || e.Exit.Signal != "KILL" {
			t.Errorf("left %d, %v; want the session left, and KILL", e.Left, e.Exit)
		}
		w.Do(engine.Effect{Kind: engine.EffectSweep, Service: "a", Attempt: 1, Signal: "TERM"})
		w.event("a", 1, service.Empty)
		w.forgotten("a")
		if !alive(session) {
			t.Fatal("what was to be left alone is gone")
		}
		// It is nobody's business of the next run, nor of the next daemon.
		w.up("a", 2, "sleep", "1000")
		w.kill("a", 2)
		w.event("a", 2, service.Empty)
		w.event("a", 2, service.Exited)
		w.forgotten("a")
		if _, _, live, err := w.Load(); err != nil || len(live) != 0 {
			t.Errorf("live %+v, %v", live, err)
		}
		if !alive(session) {
			t.Error("the next run's KILL took it")
		}
	})
}

func TestStoppedServiceHearsTerm(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		pid := w.up("a", 1, "sleep", "1000")
		w.Do(engine.Effect{Kind: engine.EffectSignal, Service: "a", Attempt: 1, Signal: "STOP"})
		eventually(t, "it is stopped", func() bool { st, _ := readStat(pid); return st.state == 'T' })
		w.term("a", 1)
		if e := w.event("a", 1, service.Exited); e.Exit.Signal != "TERM" {
			t.Errorf("exit %+v", e.Exit)
		}
	})
}

func TestExecStopComesBeforeTheSignal(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "log")
		w.spawn("a", 1, "sh", "-c", "trap 'echo term >>"+file+"; exit 0' TERM; echo up >>"+file+"; while :; do sleep 0.01; done")
		w.event("a", 1, service.Spawned)
		eventually(t, "it is up", func() bool { text, _ := os.ReadFile(file); return string(text) == "up\n" })
		stop := spawnOf("a", 1, "sh", "-c", "echo stop >>"+file)
		w.Do(engine.Effect{Kind: engine.EffectTerm, Service: "a", Attempt: 1, Spawn: stop, Signal: "TERM"})
		w.event("a", 1, service.Exited)
		if text, _ := os.ReadFile(file); string(text) != "up\nstop\nterm\n" {
			t.Errorf("order %q", text)
		}
		w.sweep("a", 1)
		w.event("a", 1, service.Empty)
	})
}

// A hung exec_stop holds up neither the KILL nor what is swept after it.
func TestHungExecStop(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		w.up("a", 1, "sleep", "1000")
		stop := spawnOf("a", 1, "sh", "-c", "echo $$ >"+file+"; exec sleep 1000")
		w.Do(engine.Effect{Kind: engine.EffectTerm, Service: "a", Attempt: 1, Spawn: stop, Signal: "TERM"})
		pid := pidIn(t, file)
		w.kill("a", 1)
		if e := w.event("a", 1, service.Exited); e.Exit.Signal != "KILL" {
			t.Errorf("exit %+v", e.Exit)
		}
		w.event("a", 1, service.Empty)
		w.forget()
		w.sweep("a", 1)
		w.event("a", 1, service.Empty)
		if alive(pid) {
			t.Error("exec_stop lives on")
		}
		w.forgotten("a")
	})
}

// What a completed oneshot or a pre left behind goes with a later attempt.
func TestSweepTakesEarlierAttempts(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		w.spawn("a", 1, "sh", "-c", "setsid sh -c 'echo $$ >"+file+"; exec sleep 1000' & exit 0")
		left := pidIn(t, file)
		if e := w.event("a", 1, service.Exited); !e.Exit.OK() || e.Left != 1 {
			t.Errorf("exited %+v", e)
		}
		w.spawn("a", 2, "true") // its undo
		w.event("a", 2, service.Exited)
		w.sweep("a", 2)
		w.event("a", 2, service.Empty)
		if alive(left) {
			t.Error("it lives on")
		}
		w.forgotten("a")
	})
}

// A zombie that its parent does not reap is no leftover.
func TestZombiesAreNotLeft(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		// sleep does not reap what the shell that it was started.
		main := w.up("a", 1, "sh", "-c", "sh -c 'echo $$ >"+file+"' & exec sleep 1000")
		zombie := pidIn(t, file)
		eventually(t, "there is a zombie", func() bool { st, err := readStat(zombie); return err == nil && st.zombie() })
		if n, err := w.k.TreeState(Tree{"a", 1}); n != 1 || err != nil {
			t.Errorf("%d processes, %v; want only the main one, %d", n, err, main)
		}
		w.kill("a", 1)
		if e := w.event("a", 1, service.Exited); e.Left != 0 {
			t.Errorf("left %d", e.Left)
		}
	})
}

func TestForkStormIsKilled(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		main := w.up("a", 1, "sh", "-c", "trap '' TERM; f() { sleep 0.02; f & sleep 0.05; exit; }; for i in 1 2 3 4 5 6 7 8; do f & done; wait; exec sleep 1000")
		eventually(t, "it forks", func() bool { n, _ := w.k.TreeState(Tree{"a", 1}); return n > 4 })
		w.kill("a", 1)
		w.event("a", 1, service.Empty)
		w.event("a", 1, service.Exited)
		if alive(main) {
			t.Error("it lives on")
		}
		if n, err := w.k.TreeState(Tree{"a", 1}); n != 0 || err != nil {
			t.Errorf("%d processes, %v", n, err)
		}
	})
}

func TestForeignProcessIsNeverHit(t *testing.T) {
	foreign := exec.Command("setsid", "sleep", "1000")
	if err := foreign.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { foreign.Process.Kill(); foreign.Wait() }()
	inBothWorlds(t, func(t *testing.T, w *world) {
		other := w.up("other", 1, "sleep", "1000")
		for n := range int64(5) {
			w.up("a", n+1, "sh", "-c", "setsid sleep 1000 & exec sleep 1000")
			w.kill("a", n+1)
			w.event("a", n+1, service.Empty)
		}
		if !alive(other) || !alive(foreign.Process.Pid) {
			t.Error("another process was killed")
		}
	})
}

// A session's number means nothing once the session was empty, and nothing to
// processes older than it.
func TestPidReuseInAFamily(t *testing.T) {
	f := &family{leaders: []leader{{pid: 100, started: 5}}}
	proc := func(pid, parent, session int, started uint64) stat {
		return stat{pid: pid, parent: parent, session: session, started: started, state: 'S'}
	}
	table := func(all ...stat) map[int]stat {
		m := make(map[int]stat)
		for _, st := range all {
			m[st.pid] = st
		}
		return m
	}
	pids := func(living []stat) (all []int) {
		for _, st := range living {
			all = append(all, st.pid)
		}
		return all
	}
	step := func(what string, procs map[int]stat, want ...int) {
		t.Helper()
		if got := pids(f.count(procs, nil, 1)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	step("leader, its child, the child's own session, a stranger",
		table(proc(100, 1, 100, 5), proc(101, 100, 100, 6), proc(102, 101, 102, 7), proc(103, 1, 103, 8)), 100, 101, 102)
	step("its parent gone, what left the session is still known", table(proc(101, 1, 100, 6), proc(102, 1, 102, 7)), 101, 102)
	step("a known pid is another's", table(proc(101, 1, 100, 6), proc(102, 1, 102, 70)), 101)
	step("the session is empty", table(proc(103, 1, 103, 8)))
	step("its number is used again", table(proc(100, 1, 100, 90), proc(101, 100, 100, 91)))
	f = &family{leaders: []leader{{pid: 100, started: 5}}}
	step("it was used again before anybody looked", table(proc(100, 1, 100, 90), proc(101, 100, 100, 91)))
	f = &family{leaders: []leader{{pid: 100, started: 5}}}
	if got := f.count(table(), nil, 0); len(got) != 0 || f.leaders[0].over {
		t.Error("a leader younger than the scan is over")
	}
}

func TestParseStat(t *testing.T) {
	tail := " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 1 0 0 0 0 0 1 2 3 4 5 6 7 1792\n"
	for _, name := range []string{"(x)", "(a b)", "(a) S 1 (b)", "(\n)", "()"} {
		st, err := parseStat(5, []byte("5 "+name+tail))
		want := stat{pid: 5, parent: 7, session: 9, state: 'S', started: 1234, exit: 1792}
		if err != nil || st != want {
			t.Errorf("%q: %+v, %v", name, st, err)
		}
	}
	for _, bad := range []string{"", "5", "5 (x)", "5 (x) S 1 2"} {
		if _, err := parseStat(5, []byte(bad)); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func TestCgroupPlaces(t *testing.T) {
	const plain = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	const hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
		"41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:9 - cgroup2 cgroup2 rw\n"
	for _, test := range []struct {
		mounts, own string
		want        []string
	}{
		{plain, "0::/system.slice/hotsvc.service\n", []string{"/sys/fs/cgroup/system.slice/hotsvc.service", "/sys/fs/cgroup"}},
		{hybrid, "9:name=systemd:/x\n0::/\n", []string{"/sys/fs/cgroup/uni fied", "/sys/fs/cgroup/uni fied"}},
		{strings.Replace(plain, " / ", " /pod ", 1), "0::/pod/x\n", []string{"/sys/fs/cgroup/x", "/sys/fs/cgroup"}},
		{strings.Replace(plain, " / ", " /other ", 1), "0::/pod/x\n", []string{"/sys/fs/cgroup"}},
		{"31 23 0:28 / /tmp rw - tmpfs tmpfs rw\nbroken\n", "0::/\n", nil},
	} {
		if got := cgroupPlaces(test.mounts, test.own); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q in\n%s: %q, want %q", test.own, test.mounts, got, test.want)
		}
	}
}

// The kernel's event comes long before anybody would look again.
func TestEndOfATreeIsHeard(t *testing.T) {
	w := withCgroups(t)
	file := filepath.Join(t.TempDir(), "pid")
	w.spawn("a", 1, "sh", "-c", "sh -c 'echo $$ >"+file+"; exec sleep 1000' & exit 0")
	pid := pidIn(t, file)
	w.event("a", 1, service.Exited)
	c := w.host.trees.(*cgroups)
	heard := make(chan bool)
	go func() {
		c.await(Tree{"a", 1}, time.Hour)
		close(heard)
	}()
	p, _ := os.FindProcess(pid)
	p.Kill()
	select {
	case <-heard:
	case <-time.After(patience):
		t.Error("nothing heard")
	}
}

func TestCgroupsAreRemoved(t *testing.T) {
	w := withCgroups(t)
	c := w.host.trees.(*cgroups)
	w.up("a", 1, "sleep", "1000")
	inner := filepath.Join(c.dir(Tree{"a", 1}), "its-own")
	if err := os.Mkdir(inner, 0o755); err != nil { // as a container runtime does
		t.Fatal(err)
	}
	w.kill("a", 1)
	w.event("a", 1, service.Empty)
	w.event("a", 1, service.Exited)
	w.forgotten("a")
	eventually(t, "its cgroups are gone", func() bool { _, err := os.Stat(filepath.Dir(c.dir(Tree{"a", 1}))); return os.IsNotExist(err) })
	w.Close(false)
	if _, err := os.Stat(c.root); !os.IsNotExist(err) {
		t.Error("the root is left: ", err)
	}
}

// stillborn moves itself into a cgroup that was killed before, and makes a
// supervisor there.
func init() {
	helpers["stillborn"] = func(args []string) int {
		if err := os.WriteFile(filepath.Join(args[0], "cgroup.procs"), []byte("0"), 0); err != nil {
			return 3
		}
		events := make(chan engine.Input, 10)
		s, err := New(Config{RunDir: args[1], LogDir: args[1], Post: func(in engine.Input) { events <- in }})
		if err != nil {
			return 4
		}
		defer s.Close(false)
		if lines := s.Degraded(); len(lines) > 0 {
			fmt.Fprintln(os.Stderr, lines)
			return 6
		}
		s.Do(engine.Effect{Kind: engine.EffectSpawn, Service: "a", Attempt: 1, Spawn: spawnOf("a", 1, "sh", "-c", "exit 7")})
		for in := range events {
			if in.Process.Kind == service.Exited {
				return in.Process.Exit.Code
			}
		}
		return 5
	}
}

// Kernels from 6.12 on kill every clone out of a cgroup that was once killed.
func TestDaemonInAKilledCgroup(t *testing.T) {
	w := withCgroups(t)
	dir := filepath.Join(w.host.trees.(*cgroups).root, "before")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer removeCgroup(dir)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Skip("no cgroup.kill: ", err)
	}
	var out bytes.Buffer
	cmd := helper(t, "stillborn", dir, t.TempDir())
	cmd.Stdout = &out
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v: want the exit status of its service, 7; %s", err, out.String())
	}
}

func TestLock(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	held, err := Lock(run)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(run)
	want := "supervise: run dir " + run + ": another hotsvc (pid " + strconv.Itoa(os.Getpid()) + ") owns it"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	go held.Close() // within the patience of the next
	held, err = Lock(run)
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
}

func TestClose(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		w := newWorld(t, root, run)
		pid := w.up("a", 1, "sleep", "1000")
		w.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("last words")})
		w.Close(true)
		if !alive(pid) {
			t.Fatal("Close(true) ended a service")
		}
		w = newWorld(t, root, run)
		records, _, live, err := w.Load()
		if err != nil || string(records["a"]) != "last words" || len(live) != 1 || live[0].Pid != pid {
			t.Fatalf("%q, %+v, %v", records, live, err)
		}
		w.Adopt(live[0], nil)
		eventually(t, "it is attached", func() bool { _, _, ok := w.ServiceOf(pid); return ok })
		w.Close(false)
		eventually(t, "Close(false) ends it", func() bool { return !alive(pid) })
	})
}
