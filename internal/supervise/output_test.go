package supervise

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
)

// counting says a number every few milliseconds.
const counting = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.002; done"

// says waits until the log has so many lines, which are to be those numbers.
func (w *world) says(name string, least int) (n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s has said %d lines", name, least), func() bool {
		lines := strings.Fields(w.logged(name))
		for i, line := range lines {
			if want := fmt.Sprint(i); i == len(lines)-1 && strings.HasPrefix(want, line) {
				lines = lines[:i] // maybe not all of it yet
			} else if line != want {
				w.t.Fatalf("line %d is %s", i, line)
			}
		}
		n = len(lines)
		return n >= least
	})
	return n
}

func TestOutputSurvivesTheDaemon(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		root := ""
		if _, ok := w.host.trees.(*sessions); ok {
			root = "none"
		}
		w.up("a", 1, "sh", "-c", counting)
		n := w.says("a", 20)
		for range 3 {
			w.Close(true)
			time.Sleep(30 * time.Millisecond) // which it has for itself
			w = newWorld(t, root, w.run)
			_, _, live, err := w.Load()
			if err != nil || len(live) != 1 {
				t.Fatal(live, err)
			}
			w.Adopt(live[0], nil)
			n = w.says("a", n+50)
		}
		w.kill("a", 1)
		w.event("a", 1, service.Empty)
		w.carried("a")
		w.says("a", n-1)
	})
}

func TestWhatIsSaidLastIsRead(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	if got := w.output("a", func(*service.Spawn) {}, "seq 1 50000; printf 'no end'"); !strings.HasSuffix(got, "\n50000\nno end\n") || strings.Count(got, "\n") != 50001 {
		t.Errorf("%d bytes, and at the end %q", len(got), got[max(0, len(got)-50):])
	}
	left, err := os.ReadDir(w.host.outputs.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAllCommandsSayItToOneLog(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	command := func(n int64, c service.Command, line string) {
		s := spawnOf("a", n, "sh", "-c", line)
		s.Command = c
		w.spawnIt(s)
		w.event("a", n, service.Spawned)
	}
	command(1, service.CommandPre, "echo pre")
	w.event("a", 1, service.Exited)
	command(2, service.CommandMain, "echo main; exec sleep 1000")
	eventually(t, "main has begun", func() bool { return strings.Contains(w.logged("a"), "main\n") })
	w.Do(engine.Effect{Kind: engine.EffectTerm, Service: "a", Attempt: 2, Signal: "TERM", Spawn: spawnOf("a", 2, "sh", "-c", "echo stop")})
	w.event("a", 2, service.Exited)
	command(3, service.CommandPost, "echo post >&2")
	w.event("a", 3, service.Exited)
	w.carried("a")
	if got := w.logged("a"); got != "pre\nmain\nstop\npost\n" {
		t.Errorf("log:\n%s", got)
	}
}

func TestStdoutCanBeOpenedAgain(t *testing.T) {
	if os.Geteuid() != 0 || inUserNamespace() {
		t.Skip("not root: no other user to be")
	}
	w := newWorld(t, "none", t.TempDir())
	got := w.output("a", func(s *service.Spawn) { s.User = "nobody" }, "echo one >/dev/stdout; echo two >/dev/stderr; id -un")
	if got != "one\ntwo\nnobody\n" {
		t.Errorf("log:\n%s", got)
	}
}

func TestSyslogGetsTheOutput(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	w.host.outputs.syslog = filepath.Join(w.run, "syslog")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.host.outputs.syslog, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := spawnOf("a", 1, "echo", "hello")
	s.Log = "syslog"
	w.spawnIt(s)
	buf := make([]byte, 1000)
	n, err := l.Read(buf)
	if err != nil || !bytes.HasPrefix(buf[:n], []byte("<30>")) || !bytes.HasSuffix(buf[:n], []byte(" a: hello")) {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	w.carried("a")
	if _, err := os.Stat(filepath.Join(w.run, "log/a")); err == nil {
		t.Error("there is a log directory, too")
	}
}

// logger starts a service that writes what another says to a file.
func (w *world) logger(attempt int64, file string) {
	s := spawnOf("a/log", attempt, "sh", "-c", "trap 'echo TERM >>"+file+"; exit 1' TERM; while read line; do echo $line >>"+file+"; done; echo end >>"+file)
	s.Input = "a"
	w.spawnIt(s)
	w.event("a/log", attempt, service.Spawned)
}

func (w *world) piped(attempt int64, line string) {
	s := spawnOf("a", attempt, "sh", "-c", line)
	s.Log = "pipe:a/log"
	w.spawnIt(s)
	w.event("a", attempt, service.Spawned)
}

func TestServiceReadsWhatAnotherSays(t *testing.T) {
	for _, first := range []string{"logger", "writer"} {
		t.Run(first+" first", func(t *testing.T) {
			w := newWorld(t, "none", t.TempDir())
			file := filepath.Join(w.run, "said")
			has := func(want string) {
				t.Helper()
				eventually(t, "the file has "+want, func() bool {
					text, _ := os.ReadFile(file)
					return strings.Join(strings.Fields(string(text)), " ") == want
				})
			}
			if first == "logger" {
				w.logger(1, file)
				w.piped(1, "echo one")
			} else {
				w.piped(1, "echo one")
				w.event("a", 1, service.Exited)
				w.logger(1, file)
			}
			has("one")
			// Between two runs it sees no end, and without a daemon neither.
			w.event("a", 1, service.Exited)
			w.piped(2, "echo two; while ! test -e "+w.run+"/go; do sleep 0.01; done; echo three; exec sleep 1000")
			has("one two")
			w.retire("a")
			w.Close(true)
			if err := os.WriteFile(w.run+"/go", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			has("one two three")
			w = newWorld(t, "none", w.run)
			_, _, live, err := w.Load()
			if err != nil || len(live) != 2 {
				t.Fatal(live, err)
			}
			for _, l := range live {
				w.Adopt(l, nil)
			}
			// What nobody reads waits for the next logger.
			w.term("a/log", 1) // in vain at first: its input goes on
			if e := w.event("a/log", 1, service.Exited); e.Exit.Code == 0 && !e.Exit.Unknown {
				t.Errorf("it ended by itself: %+v", e.Exit)
			}
			has("one two three TERM")
			w.kill("a", 2)
			w.event("a", 2, service.Empty)
			w.piped(3, "echo four; echo five")
			w.event("a", 3, service.Exited)
			w.logger(2, file)
			has("one two three TERM four five")
			// Now its input ends, and so does it.
			w.term("a/log", 2)
			if e := w.event("a/log", 2, service.Exited); !e.Exit.OK() {
				t.Errorf("it was ended: %+v", e.Exit)
			}
			has("one two three TERM four five end")
			w.retire("a")
			w.retire("a/log")
			w.carried("a")
		})
	}
}

func TestPumpGivesWayToALogger(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	w.up("a", 1, "sh", "-c", "echo one; while ! test -e "+w.run+"/go; do sleep 0.01; done; echo two; exec sleep 1000")
	eventually(t, "one is in the log", func() bool { return w.logged("a") == "one\n" })
	file := filepath.Join(w.run, "said")
	w.logger(1, file)
	if err := os.WriteFile(w.run+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two is in the file", func() bool { text, _ := os.ReadFile(file); return string(text) == "two\n" })
	if got := w.logged("a"); got != "one\n" {
		t.Errorf("log: %q", got)
	}
}

// A daemon that does not read for a while is a full pipe, and no broken one.
func TestFullPipeWaitsForTheNextDaemon(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	w.up("a", 1, "sh", "-c", "while ! test -e "+w.run+"/go; do sleep 0.01; done; seq 0 99999; echo done >"+w.run+"/done; exec sleep 1000")
	w.Close(true)
	if err := os.WriteFile(w.run+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, "none", w.run)
	w.says("a", 99999)
	eventually(t, "it went on", func() bool { _, err := os.Stat(w.run + "/done"); return err == nil })
}

// How a log is kept changes while the service runs, and is known to the next
// daemon.
func TestLogIsKeptAsTold(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	pid := w.up("a", 1, "sh", "-c", counting)
	w.says("a", 20)
	small := service.LogFile{MaxSize: 4000, Keep: 3, Stamp: "tai64n"}
	w.KeepLogs(func(name string) (service.LogFile, bool) { return small, name == "a" })
	files := func(w *world) (rotated []string) {
		rotated, _ = filepath.Glob(filepath.Join(w.run, "log/a/@*"))
		return rotated
	}
	eventually(t, "there are three old files, and a newer one", func() bool {
		return len(files(w)) == 3 && filepath.Base(files(w)[0]) > "@4000000000000000"
	})
	w.Close(true)
	w = newWorld(t, "none", w.run)
	last := files(w)[2]
	eventually(t, "it goes on like that", func() bool { return len(files(w)) == 3 && files(w)[0] > last })
	text, err := os.ReadFile(files(w)[1])
	if err != nil || len(text) > 4000 || text[0] != '@' {
		t.Errorf("%d bytes, %.50q, %v", len(text), text, err)
	}
	if !alive(pid) {
		t.Error("it was restarted")
	}
	w.Load()
	w.Adopt(Live{Tree: Tree{"a", 1}, Pid: 0}, nil)
	w.kill("a", 1)
	w.event("a", 1, service.Empty)
}

// A logger whose service is down reads no end of input between the two images
// of an upgrade: it would end by it, and be started again.
func TestUpgradeDoesNotEndTheLoggerOfAServiceThatIsDown(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	read, err := w.host.outputs.reader("web", "web/log")
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	for _, f := range w.Outputs() {
		defer f.Close()
	}
	w.Close(true)
	if err := unix.SetNonblock(int(read.Fd()), true); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(int(read.Fd()), make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("the logger reads %d, %v: it is at its end", n, err)
	}
}
