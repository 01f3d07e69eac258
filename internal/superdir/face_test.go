package superdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	hotsvc "hotsvc/internal/status"
)

// stage is a Face before a core that knows these services and notes what it is told.
type stage struct {
	*testing.T
	face    *Face
	running bool

	mu       sync.Mutex
	services map[string]hotsvc.Service
	told     []string // calls
	warned   []string
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, services: map[string]hotsvc.Service{}}
	var err error
	s.face, err = New(Config{ID: -2, Post: s.post, Warn: func(line string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.warned = append(s.warned, line)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run has the Face keep its files until the test ends, or stop is called.
func (s *stage) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.face.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	s.Cleanup(stop)
	s.running = true
	s.face.Settle()
	return stop
}

func (s *stage) post(in engine.Input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Call.Verb != engine.VerbStatus {
		s.told = append(s.told, strings.TrimSpace(fmt.Sprint(in.Call.Verb, " ", in.Call.Services[0], " ", in.Call.Signal)))
		return
	}
	var r hotsvc.Report
	for _, service := range s.services {
		r.Services = append(r.Services, service)
	}
	s.face.Deliver(engine.Reply{ID: in.Call.ID, Value: r})
}

// is sets how a service is, and tells of it.
func (s *stage) is(name, dir string, pid int) {
	s.mu.Lock()
	v := hotsvc.Service{Name: name, State: "down", Want: "up", Since: time.Unix(1000, 0), Definition: &hotsvc.Definition{Dialect: "runit", Dir: &dir}}
	if pid > 0 {
		v.State, v.Main = "up", &hotsvc.Process{Pid: pid, Started: time.Unix(2000, 0)}
	}
	s.services[name] = v
	s.mu.Unlock()
	if s.running {
		s.face.Changed(name)
		s.face.Settle()
	}
}

func (s *stage) forget() { s.mu.Lock(); defer s.mu.Unlock(); s.told, s.warned = nil, nil }

func (s *stage) calls() string { s.mu.Lock(); defer s.mu.Unlock(); return strings.Join(s.told, ", ") }
func (s *stage) warnings() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.warned, "\n")
}

func (s *stage) until(what string, cond func() bool) {
	s.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not in time: %s; told: %s; warned: %s", what, s.calls(), s.warnings())
		}
	}
}

func text(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// say writes to a FIFO as `printf TEXT >supervise/control` does.
func say(t *testing.T, dir, bytes string) {
	t.Helper()
	fd, err := unix.Open(dir+"/supervise/control", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(bytes)); err != nil {
		t.Fatal(err)
	}
}

func alive(dir string) error {
	fd, err := unix.Open(dir+"/supervise/ok", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// TestFilesOfAService: which there are, with which modes and contents, and that
// they stay when the daemon goes (RV-2, RV-6 to RV-8).
func TestFilesOfAService(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	defer unix.Umask(unix.Umask(0o077))
	s.is("a", dir, 0)
	stop := s.run()
	for name, mode := range map[string]os.FileMode{".": os.ModeDir | 0o700, "lock": 0o600, "ok": os.ModeNamedPipe | 0o600,
		"control": os.ModeNamedPipe | 0o600, "status": 0o644, "stat": 0o644, "pid": 0o644} {
		info, err := os.Stat(filepath.Join(dir, "supervise", name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v, should be %v", name, info.Mode(), err, mode)
		}
	}
	if got := text(t, dir+"/supervise/stat") + text(t, dir+"/supervise/pid"); got != "down\n" {
		t.Errorf("down is %q", got)
	}
	s.is("a", dir, 813)
	if got := text(t, dir+"/supervise/stat") + text(t, dir+"/supervise/pid"); got != "run\n813\n" {
		t.Errorf("a run is %q", got)
	}
	status, err := Decode([]byte(text(t, dir+"/supervise/status")))
	if err != nil || status.Pid != 813 || status.State != Run || status.Since.Unix() != 2000 {
		t.Errorf("status: %+v %v", status, err)
	}
	if err := alive(dir); err != nil {
		t.Errorf("supervised, and ok cannot be opened: %v", err)
	}
	stop()
	if err := alive(dir); err != unix.ENXIO {
		t.Errorf("nobody supervises, and ok says %v", err)
	}
	if got := text(t, dir+"/supervise/pid"); got != "813\n" {
		t.Errorf("the files are to stay: pid is %q", got)
	}
}

// TestSuperviseElsewhere: a dangling link gets its target; modes that somebody
// gave to what is there already are kept (RV-2, RV-9).
func TestSuperviseElsewhere(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	target := filepath.Join(t.TempDir(), "run/sv/a")
	if err := os.Symlink(target, dir+"/supervise"); err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(target, 0o755)
	if err := unix.Mkfifo(target+"/control", 0o622); err != nil {
		t.Fatal(err)
	}
	os.Chmod(target+"/control", 0o622)
	s.is("a", dir, 5)
	s.run()
	if got := text(t, target+"/pid"); got != "5\n" {
		t.Errorf("pid is %q", got)
	}
	if info, err := os.Stat(target + "/control"); err != nil || info.Mode().Perm() != 0o622 {
		t.Errorf("control: %v %v", info.Mode(), err)
	}
}

// TestBytesBecomeCalls: in order, none lost, what nobody knows is nothing.
func TestBytesBecomeCalls(t *testing.T) {
	s, dir, log := newStage(t), t.TempDir(), t.TempDir()
	s.is("a", dir, 5)
	s.is("a/log", log, 6)
	s.run()
	say(t, dir, "udoxz\nkpchaitq12")
	want := "start a, stop a, once a, exit a, signal a KILL, signal a STOP, signal a CONT, signal a HUP, signal a ALRM, " +
		"signal a INT, signal a TERM, signal a QUIT, signal a USR1, signal a USR2"
	s.until("all is told", func() bool { return s.calls() == want })
	s.forget()
	say(t, log, "xt") // a logger ends with its input, not by an x (RV-10)
	s.until("the logger's is told", func() bool { return s.calls() == "signal a/log TERM" })
	s.forget()
	for range 2000 {
		say(t, dir, "u")
		say(t, dir, "d")
	}
	s.until("4000 are told", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.told) == 4000 })
	if want := strings.TrimSuffix(strings.Repeat("start a, stop a, ", 2000), ", "); s.calls() != want {
		t.Error("they came in another order")
	}
}

// TestHeedComesFirst: whoever heeds the FIFO before he tells of an end has told
// what was written before it, however busy the Face is.
func TestHeedComesFirst(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	s.is("a", dir, 5)
	s.run()
	for range 500 {
		s.forget()
		say(t, dir, "o")
		s.face.Heed("a")
		if s.calls() != "once a" {
			t.Fatalf("told: %q", s.calls())
		}
	}
	// also of a directory that is only claimed yet
	other := t.TempDir()
	if err := s.face.Claim(other); err != nil {
		t.Fatal(err)
	}
	say(t, other, "o")
	s.forget()
	s.mu.Lock()
	s.services["b"] = hotsvc.Service{Name: "b", Definition: &hotsvc.Definition{Dialect: "runit", Dir: &other}}
	s.mu.Unlock()
	s.face.Anew()
	s.face.Heed("b")
	if s.calls() != "once b" {
		t.Fatalf("told: %q", s.calls())
	}
}

// TestControlIsMadeAgain: with a warning that names it.
func TestControlIsMadeAgain(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	os.WriteFile(dir+"/run", nil, 0o755)
	s.is("a", dir, 5)
	s.run()
	for _, name := range []string{"control", "ok"} {
		s.forget()
		if err := os.Remove(dir + "/supervise/" + name); err != nil {
			t.Fatal(err)
		}
		s.until(name+" is made again", func() bool { return alive(dir) == nil && s.warnings() != "" })
		if want := "a: somebody removed " + dir + "/supervise/" + name + ": made again"; s.warnings() != want {
			t.Errorf("warned %q, should be %q", s.warnings(), want)
		}
	}
	s.forget()
	say(t, dir, "t")
	s.until("it is heard", func() bool { return s.calls() == "signal a TERM" })
	if got := text(t, dir+"/supervise/pid"); got != "5\n" {
		t.Errorf("pid is %q", got)
	}
	os.RemoveAll(dir + "/supervise")
	s.until("all of supervise/ is made again", func() bool { _, err := os.Stat(dir + "/supervise/status"); return err == nil && alive(dir) == nil })
	s.face.Settle() // what is being written would keep the directory
	s.forget()
	// Its run goes first: on a busy machine the rest may take longer than calm.
	if err := errors.Join(os.Remove(dir+"/run"), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * calm) // nothing tells that nothing happens
	s.is("a", dir, 0)
	if _, err := os.Stat(dir); err == nil || s.warnings() != "" {
		t.Errorf("a service directory that somebody removed: %v; warned: %s", err, s.warnings())
	}
}

// TestReadOnlyDirectory: no files, one warning, and the daemon goes on.
func TestReadOnlyDirectory(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	s.is("a", filepath.Join(dir, "is/no/directory"), 5)
	os.WriteFile(dir+"/supervise", nil, 0o644) // as good as read-only, also to root
	s.is("b", dir, 5)
	s.run()
	if err := s.face.Claim(dir); err != nil {
		t.Errorf("a directory that cannot be written to is nobody's: %v", err)
	}
	for pid := range 3 {
		s.is("a", filepath.Join(dir, "is/no/directory"), pid)
		s.is("b", dir, pid)
	}
	if n := strings.Count(s.warnings(), "\n") + 1; n != 2 || !strings.Contains(s.warnings(), "b: its supervise/ is not kept, other tools do not see it: ") {
		t.Errorf("warned:\n%s", s.warnings())
	}
}

// TestClaimOfAnother: a directory with a live runsv is not ours; the error names
// who has it. Nothing in it is touched.
func TestClaimOfAnother(t *testing.T) {
	dir := t.TempDir()
	owner, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/supervise/status", []byte("theirs"), 0o644)
	s := newStage(t)
	err = s.face.Claim(dir)
	want := fmt.Sprintf("%s is under another supervisor (pid %d): end that one, then `hsctl reload`", dir, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("error %v, should be %s", err, want)
	}
	s.is("a", dir, 5)
	s.run()
	if got := text(t, dir+"/supervise/status"); got != "theirs" {
		t.Errorf("status is %q", got)
	}
	if _, err := os.Lstat(dir + "/supervise/control"); err == nil {
		t.Error("control was made")
	}
	unix.Close(owner)
	if err := s.face.Claim(dir); err != nil {
		t.Error(err)
	}
	if err := s.face.Claim(dir); err != nil {
		t.Errorf("twice by the same daemon: %v", err)
	}
	s.face.Anew()
	s.until("it is ours", func() bool { s.face.Settle(); return text(t, dir+"/supervise/pid") == "5\n" })
}

// TestLinksAreNotFollowed: whoever may write to supervise/ cannot have the
// daemon write elsewhere.
func TestLinksAreNotFollowed(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	os.WriteFile(dir+"/run", nil, 0o755)
	precious := filepath.Join(t.TempDir(), "precious")
	os.WriteFile(precious, []byte("gold"), 0o644)
	os.Mkdir(dir+"/supervise", 0o777)
	for _, name := range []string{"status.new", "pid.new", "stat.new", "status", "pid", "stat"} {
		if err := os.Symlink(precious, dir+"/supervise/"+name); err != nil {
			t.Fatal(err)
		}
	}
	s.is("a", dir, 5)
	s.run()
	s.is("a", dir, 6)
	if got := text(t, precious); got != "gold" {
		t.Errorf("precious is %q", got)
	}
	if got := text(t, dir+"/supervise/pid"); got != "6\n" {
		t.Errorf("pid is %q", got)
	}
	os.Symlink(precious, dir+"/link")
	os.Rename(dir+"/link", dir+"/supervise/control")
	s.until("a link is no control", func() bool { return strings.Contains(s.warnings(), "supervise/control") })
}
