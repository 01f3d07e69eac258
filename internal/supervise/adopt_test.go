package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// A helper is this test binary started again as another program.
var helpers = map[string]func(args []string) int{}

func TestMain(m *testing.M) {
	if name := os.Getenv("SUPERVISE_HELPER"); name != "" {
		os.Exit(helpers[name](os.Args[1:]))
	}
	os.Exit(m.Run())
}

func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "SUPERVISE_HELPER="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// faulty dies of KILL at its n-th call, as a daemon might at any moment.
type faulty struct {
	Kernel
	calls *int
	n     int
	after bool // the call is done first
}

func (f faulty) point(call func() error) error {
	*f.calls++
	die := *f.calls == f.n
	if die && !f.after {
		f.die()
	}
	err := call()
	if die {
		f.die()
	}
	return err
}

func (f faulty) die() {
	self, _ := os.FindProcess(os.Getpid())
	self.Kill()
	select {}
}

func (f faulty) MakeTree(t Tree, c service.Command) error {
	return f.point(func() error { return f.Kernel.MakeTree(t, c) })
}

func (f faulty) Clone(t Tree, p Program) (proc Process, err error) {
	err = f.point(func() error { proc, err = f.Kernel.Clone(t, p); return err })
	return proc, err
}

func (f faulty) Note(t Tree, c service.Command, p Process) error {
	return f.point(func() error { return f.Kernel.Note(t, c, p) })
}

func (f faulty) Save(name string, record []byte) error {
	return f.point(func() error { return f.Kernel.Save(name, record) })
}

// daemon: run dir, cgroup root, die at call n, "before" or "after", command. It
// starts one service and says "up PID" on standard output.
func init() {
	helpers["daemon"] = func(args []string) int {
		run, root, when := args[0], args[1], args[3]
		n, _ := strconv.Atoi(args[2])
		events := make(chan engine.Input, 10)
		cfg := Config{RunDir: run, LogDir: run + "/log", CgroupRoot: root, Post: func(in engine.Input) { events <- in }}
		s, err := New(cfg)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		s.k = faulty{Kernel: s.k, calls: new(int), n: n, after: when == "after"}
		s.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
		spawn := spawnOf("a", 1, args[4:]...)
		s.Do(engine.Effect{Kind: engine.EffectSpawn, Service: "a", Attempt: 1, Spawn: spawn})
		for in := range events {
			fmt.Println(in.Process.Kind, in.Process.Pid)
			if in.Process.Kind != service.SaidReady {
				select {} // until somebody kills it
			}
		}
		return 0
	}
}

// started runs a daemon until it says that its service is up, and kills it.
func killedDaemon(t *testing.T, run, root string, argv ...string) (pid int) {
	t.Helper()
	cmd := helper(t, "daemon", append([]string{run, root, "0", "never"}, argv...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(out, "spawned %d\n", &pid); err != nil {
		t.Fatal("the daemon did not start its service: ", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	return pid
}

func inBothRoots(t *testing.T, fn func(t *testing.T, root string)) {
	t.Run("cgroups", func(t *testing.T) {
		withCgroups(t) // or skip
		fn(t, "")
	})
	t.Run("sessions", func(t *testing.T) { fn(t, "none") })
}

// S26: whatever the moment, the next daemon finds the one process or none.
func TestDaemonDiesAtEveryCall(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		for n := 1; n <= 4; n++ { // Save, MakeTree, Clone, Note
			for _, when := range []string{"before", "after"} {
				t.Run(fmt.Sprint(n, when), func(t *testing.T) {
					run := t.TempDir()
					started := filepath.Join(run, "started")
					cmd := helper(t, "daemon", run, root, strconv.Itoa(n), when, "sh", "-c", "echo $$ >>"+started+"; exec sleep 1000")
					if err := cmd.Run(); err == nil {
						t.Fatal("it did not die")
					}
					w := newWorld(t, root, run)
					records, _, live, err := w.Load()
					if err != nil {
						t.Fatal(err)
					}
					cloned := n == 3 && when == "after" || n == 4
					if saved := n > 1 || when == "after"; saved != (string(records["a"]) == "{}") {
						t.Errorf("records %q", records)
					}
					if !cloned {
						if len(live) != 0 {
							t.Fatalf("live %+v, but nothing was cloned", live)
						}
						w.up("a", 2, "sleep", "1000")
						return
					}
					if len(live) != 1 || live[0].Tree != (Tree{"a", 1}) || live[0].Left != 0 {
						t.Fatalf("live %+v, want the one process", live)
					}
					if pid := pidIn(t, started); live[0].Pid != pid {
						t.Errorf("adopted %d, started was %d", live[0].Pid, pid)
					}
					w.Adopt(live[0], nil)
					w.term("a", 1)
					if e := w.event("a", 1, service.Exited); e.Exit.Signal != "TERM" && !e.Exit.Unknown {
						t.Errorf("exit %+v", e.Exit)
					}
				})
			}
		}
	})
}

// S30: how another's child ended.
func TestExitOfAnAdoptedProcess(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		fifo := filepath.Join(run, "go")
		if out, err := exec.Command("mkfifo", fifo).CombinedOutput(); err != nil {
			t.Skipf("mkfifo: %v %s", err, out)
		}
		pid := killedDaemon(t, run, root, "sh", "-c", "read x <"+fifo+"; exit 7")
		w := newWorld(t, root, run)
		_, _, live, err := w.Load()
		if err != nil || len(live) != 1 || live[0].Pid != pid {
			t.Fatalf("live %+v, %v; want pid %d", live, err, pid)
		}
		w.Adopt(live[0], nil)
		if name, _, ok := w.ServiceOf(pid); !ok || name != "a" {
			t.Errorf("ServiceOf(%d) = %q, %v", pid, name, ok)
		}
		if err := os.WriteFile(fifo, []byte("x\n"), 0); err != nil {
			t.Fatal(err)
		}
		e := w.event("a", 1, service.Exited)
		if e.Exit.Unknown {
			t.Log("status unknown: reaped before it could be read, and this kernel does not tell afterwards")
		} else if e.Exit.Code != 7 {
			t.Errorf("exit %+v, want 7", e.Exit)
		}
		w.forgotten("a")
	})
}

// A process may have ended, and its daemon heard of it, but died before that was
// written. Only the note tells that it ever ran.
func TestEndThatIsNotWrittenIsFound(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		w := newWorld(t, root, run)
		w.spawn("a", 1, "true")
		w.event("a", 1, service.Exited)
		w.Close(true)
		w = newWorld(t, root, run)
		_, _, live, err := w.Load()
		if err != nil || len(live) != 1 || live[0].Tree != (Tree{"a", 1}) || live[0].Pid != 0 || live[0].Left != 0 {
			t.Fatalf("live %+v, %v; want the end of the one process", live, err)
		}
		w.Adopt(live[0], nil)
		w.forgotten("a") // now it is
		if _, err := os.Stat(filepath.Join(run, "run/a")); err == nil {
			t.Error("its note is still there")
		}
	})
}

func TestLeftoversAreAdopted(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		file := filepath.Join(run, "pid")
		main := killedDaemon(t, run, root, "sh", "-c", "setsid sh -c 'echo $$ >"+file+"; exec sleep 1000' & exec sleep 1000")
		left := pidIn(t, file)
		p, err := os.FindProcess(main)
		if err != nil {
			t.Fatal(err)
		}
		p.Kill()
		eventually(t, "the main process is gone", func() bool { return !alive(main) })
		w := newWorld(t, root, run)
		_, _, live, err := w.Load()
		if err != nil || len(live) != 1 || live[0].Pid != 0 || live[0].Left != 1 {
			t.Fatalf("live %+v, %v; want one leftover and no main process", live, err)
		}
		w.Adopt(live[0], nil)
		w.sweep("a", 1)
		w.event("a", 1, service.Empty)
		if alive(left) {
			t.Error("the leftover lives on")
		}
	})
}

// S29: under a PID 1 that does not reap, a zombie keeps pid and start time.
func TestZombieIsNotAdopted(t *testing.T) {
	cmd := exec.Command("sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	defer cmd.Wait()
	eventually(t, "it is a zombie", func() bool { st, err := readStat(pid); return err == nil && st.zombie() })
	st, _ := readStat(pid)
	p, err := findProcess(pid, st.started)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !p.awaitEnd() {
		t.Error("a zombie counts as alive")
	}
	if exit := p.foreignExit(); exit.Code != 3 && !exit.Unknown {
		t.Errorf("exit %+v, want 3", exit)
	}
}

func TestProcessOfAnotherStartTimeIsRefused(t *testing.T) {
	st, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findProcess(os.Getpid(), st.started-1); err == nil {
		t.Error("found a process by a pid that was another's")
	}
}

func TestAnotherBootWipesTheRecords(t *testing.T) {
	run := t.TempDir()
	w := newWorld(t, "none", run)
	w.Do(engine.Effect{Kind: engine.EffectSave, Service: "a", Record: []byte("{}")})
	w.Do(engine.Effect{Kind: engine.EffectGlobal, Record: []byte("g")})
	w.Close(true)
	w = newWorld(t, "none", run)
	if records, global, _, err := w.Load(); err != nil || len(records) != 1 || string(global) != "g" {
		t.Fatalf("same boot: %q, %q, %v", records, global, err)
	}
	w.Close(true)
	boot, err := os.ReadFile(filepath.Join(run, "boot"))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(boot), string(boot[:8]), "00000000", 1)
	if err := os.WriteFile(filepath.Join(run, "boot"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, "none", run)
	if records, global, _, err := w.Load(); err != nil || len(records) != 0 || global != nil {
		t.Errorf("another boot: %q, %q, %v", records, global, err)
	}
}

// A daemon may die between the birth of a process and its limits. It goes on
// without them, or is stopped for ever.
func TestBornWithoutItsLimitsIsNotAdopted(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		w := newWorld(t, root, run)
		s := spawnOf("a", 1, "sleep", "1000")
		s.Limits = []service.Limit{{Name: "nofile", Soft: 64, Hard: 64}}
		w.spawnIt(s)
		pid := w.event("a", 1, service.Spawned).Pid
		w.Close(true)
		note := filepath.Join(run, "run/a/1")
		if text, _ := os.ReadFile(note); !strings.HasPrefix(string(text), fmt.Sprintf("main %d ", pid)) {
			t.Errorf("noted: %s", text)
		}
		if err := os.WriteFile(note, []byte("main !\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(pid, syscall.SIGSTOP)
		w = newWorld(t, root, run)
		if _, _, live, err := w.Load(); err != nil || len(live) != 0 || alive(pid) {
			t.Errorf("live %+v, %v; alive: %v", live, err, alive(pid))
		}
		w.spawnIt(spawnOf("a", 2, "sleep", "1000"))
		w.event("a", 2, service.Spawned)
	})
}

// A daemon may die between the last note of a service and its directory.
func TestEmptyDirectoryOfNotesGoes(t *testing.T) {
	run := t.TempDir()
	w := newWorld(t, "none", run)
	if err := os.Mkdir(filepath.Join(run, "run/a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.Load(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(run, "run/a")); err == nil {
		t.Error("it is still there: a has rested, but counts as one that runs")
	}
}

func TestHalfARecordIsNone(t *testing.T) {
	run := t.TempDir()
	w := newWorld(t, "none", run)
	if err := os.WriteFile(filepath.Join(run, "svc/.a.tmp"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if records, _, _, err := w.Load(); err != nil || len(records) != 0 {
		t.Errorf("%q, %v", records, err)
	}
}
