package supervise

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// notifier: words are sent to $NOTIFY_SOCKET, one message each.
func init() {
	helpers["notifier"] = func(args []string) int {
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err != nil {
			return 1
		}
		for _, word := range args {
			c.Write([]byte(word))
		}
		time.Sleep(time.Hour) // until it is ended
		return 0
	}
}

func TestReadyByNotify(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// A grandchild says it, in a session of its own.
		s := spawnOf("a", 1, "sh", "-c", "setsid '"+self+"' STATUS=x 'X=1\nREADY=1' & wait")
		s.Env = append(s.Env, "SUPERVISE_HELPER=notifier")
		s.Ready = service.ReadyNotify
		w.spawnIt(s)
		w.event("a", 1, service.SaidReady)
		if n := w.count(service.SaidReady); n != 1 {
			t.Errorf("ready %d times", n)
		}
		w.kill("a", 1)
		w.event("a", 1, service.Empty)
	})
}

func TestNotifyOfAStrangerIsNotHeard(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		self, _ := os.Executable()
		s := spawnOf("a", 1, self, "STATUS=x")
		s.Env = append(s.Env, "SUPERVISE_HELPER=notifier")
		s.Ready = service.ReadyNotify
		w.spawnIt(s)
		w.event("a", 1, service.Spawned)
		c, err := net.Dial("unixgram", w.host.notify.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("READY=1")); err != nil {
			t.Fatal(err)
		}
		// Messages come in order: when a true one is heard, the false one was.
		b := spawnOf("b", 1, self, "READY=1")
		b.Env = append(b.Env, "SUPERVISE_HELPER=notifier")
		b.Ready = service.ReadyNotify
		w.spawnIt(b)
		w.event("b", 1, service.SaidReady)
		if n := w.count(service.SaidReady); n != 1 {
			t.Error("a stranger was believed")
		}
	})
}

// A path has no room in a socket's address beyond 107 bytes.
func TestNotifyInALongRunDir(t *testing.T) {
	run := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	w := newWorld(t, "none", run)
	self, _ := os.Executable()
	s := spawnOf("a", 1, self, "READY=1")
	s.Env = append(s.Env, "SUPERVISE_HELPER=notifier")
	s.Ready = service.ReadyNotify
	w.spawnIt(s)
	w.event("a", 1, service.SaidReady)
}

func TestReadyByDescriptor(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		s := spawnOf("a", 1, "sh", "-c", "printf almost >&7; echo done >&7; echo again >&7; exec sleep 1000")
		s.Ready, s.ReadyFD = service.ReadyFD, 7
		w.spawnIt(s)
		w.event("a", 1, service.SaidReady)
		s = spawnOf("b", 1, "sh", "-c", "printf almost >&3; exec 3>&-; exit 0")
		s.Ready, s.ReadyFD = service.ReadyFD, 3
		w.spawnIt(s)
		w.event("b", 1, service.Exited)
		w.forgotten("b")
		if n := w.count(service.SaidReady); n != 1 {
			t.Errorf("ready %d times", n)
		}
		w.kill("a", 1)
		w.forgotten("a")
		if left, _ := filepath.Glob(filepath.Join(w.run, "ready", "*")); left != nil {
			t.Errorf("FIFOs outlive their services: %v", left)
		}
	})
}

// A daemon may die between the word and whoever was to hear of it.
func TestReadyOutlivesTheDaemonThatHeardIt(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		run := t.TempDir()
		w := newWorld(t, root, run)
		byFD := spawnOf("a", 1, "sh", "-c", "printf almost >&3; echo >&3; exec sleep 1000 3>&-") // nobody else has it
		byFD.Ready, byFD.ReadyFD = service.ReadyFD, 3
		byNotify := spawnOf("b", 1, self, "READY=1")
		byNotify.Env = append(byNotify.Env, "SUPERVISE_HELPER=notifier")
		byNotify.Ready = service.ReadyNotify
		w.spawnIt(byFD)
		w.spawnIt(byNotify)
		for range 2 {
			w.event("a", 1, service.SaidReady)
			w.event("b", 1, service.SaidReady)
			w.Close(true)
			w = newWorld(t, root, run)
			_, _, live, err := w.Load()
			if err != nil || len(live) != 2 {
				t.Fatal(live, err)
			}
			for _, l := range live {
				w.Adopt(l, nil)
			}
		}
		w.event("a", 1, service.SaidReady)
		w.event("b", 1, service.SaidReady)
	})
}

// S31: the next daemon hears what is said to it.
func TestReadyIsHeardByTheNextDaemon(t *testing.T) {
	inBothRoots(t, func(t *testing.T, root string) {
		run := t.TempDir()
		w := newWorld(t, root, run)
		said := filepath.Join(run, "go")
		s := spawnOf("a", 1, "sh", "-c", "while ! test -e "+said+"; do sleep 0.01; done; echo >&3; exec sleep 1000")
		s.Ready, s.ReadyFD = service.ReadyFD, 3
		w.spawnIt(s)
		w.event("a", 1, service.Spawned)
		w.Close(true)
		if err := os.WriteFile(said, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w = newWorld(t, root, run)
		_, _, live, err := w.Load()
		if err != nil || len(live) != 1 {
			t.Fatal(live, err)
		}
		w.Adopt(live[0], nil)
		w.event("a", 1, service.SaidReady)
	})
}

func TestReadyByCheck(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "tries")
		s := spawnOf("a", 1, "sleep", "1000")
		s.Ready, s.CheckEvery = service.ReadyCheck, int64(5*time.Millisecond)
		s.Check = []string{"sh", "-c", "echo x >>" + file + "; test $(wc -l <" + file + ") -ge 3"}
		w.spawnIt(s)
		w.event("a", 1, service.SaidReady)
		if text, _ := os.ReadFile(file); string(text) != "x\nx\nx\n" {
			t.Errorf("tries %q, want three", text)
		}
	})
}

// A check that hangs is the service's: its KILL reaches it.
func TestHungCheckGoesWithItsService(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "pid")
		s := spawnOf("a", 1, "sleep", "1000")
		s.Ready, s.Check = service.ReadyCheck, []string{"sh", "-c", "echo $$ >" + file + "; exec sleep 1000"}
		w.spawnIt(s)
		check := pidIn(t, file)
		w.kill("a", 1)
		w.event("a", 1, service.Empty)
		w.event("a", 1, service.Exited)
		eventually(t, "the check is gone", func() bool { return !alive(check) })
		if n := w.count(service.SaidReady); n != 0 {
			t.Error("a killed check says ready")
		}
		w.forgotten("a")
	})
}

func TestClientGone(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	pid := w.up("client", 1, "sleep", "1000")
	st, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	living := engine.Client{Pid: pid, Started: st.started}
	other := engine.Client{Pid: pid, Started: st.started - 1}
	for _, c := range []engine.Client{living, living, other} {
		w.Do(engine.Effect{Kind: engine.EffectWatch, Client: &c})
	}
	gone := func(c engine.Client) (n int) {
		for _, in := range w.inputs {
			if in.Gone != nil && *in.Gone == c {
				n++
			}
		}
		return n
	}
	w.until("the one whose pid is another's now is gone", func() bool { return gone(other) == 1 })
	w.until("nothing", func() bool {
		if gone(living) != 0 {
			t.Error("a living client is gone")
		}
		return true
	})
	w.kill("client", 1)
	w.until("the client is gone", func() bool { return gone(living) == 1 })
}
