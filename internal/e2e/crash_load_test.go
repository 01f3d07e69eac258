package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// bustle is a machine on which much happens: cables flap, people change their
// minds, a service crashes all the time. The daemon is killed at any moment of it.
type bustle struct {
	*machine
	k       *keeper
	hold    *exec.Cmd
	plugged [4]bool
	minds   map[string]*mind // by service; one person has each
	stay    map[string]int   // pids of those whom nothing of this concerns
	counted int              // numbers of count's that are in its log

	flaps, verbs, repeated atomic.Int64
}

// mind is what people have last said of a service.
type mind struct {
	cap   string
	holds map[string]bool
}

var stayers = []string{"count", "steady", "held", "log/log"}

func (b *bustle) scene() {
	b.Helper()
	servant := b.servant()
	b.rules(strings.Replace(cableRule, `linger  = "500ms"`, "linger = \"20ms\"\ndamping = false", 1))
	self, err := os.Executable()
	must(b.T, err)
	b.service("count", fmt.Sprintf("exec_start = [%q]\nenv = { %s = %q }\nstart_at_boot = true\n", self, counterFile, b.Path("counted")))
	b.service("crashes", "exec_start = [\"sh\", \"-c\", \"sleep 0.05; exit 7\"]\nbackoff = { first = \"10ms\", max = \"50ms\" }\nstart_at_boot = true\n")
	for name, more := range map[string]string{
		"steady": "start_at_boot = true", "held": "", "net@": `needs = ["base"]` + "\n" + `ready = "fd:3"`,
		"base": `ready = "fd:3"`, "top": `needs = ["base"]`,
	} {
		b.service(name, fmt.Sprintf("exec_start = [%q, %q]\n%s\n", servant, strings.Replace(name, "@", "@{instance}", 1), more))
	}
	for _, tree := range []string{"runit:sv", "backhand:bh", "sysmgr:sm", "hermit:he"} {
		b.services(tree)
	}
	run := func(file, name string) {
		b.file(file, "#!/bin/sh\nexec "+servant+" "+name+"\n")
		must(b.T, os.Chmod(b.Path(file), 0o755))
	}
	run("sv/web/run", "web 'sleep 1000'") // runit kills none but the main process
	run("sv/log/run", "log 'sleep 1000'")
	run("sv/log/log/run", "log-log 'sleep 1000'")
	run("bh/bh/run", "bh")
	b.script("bh/bh/pre", "")
	b.script("bh/bh/post", "")
	run("sm/prog", "prog")
	b.file("he/he.toml", fmt.Sprintf("id = \"he\"\nexec_start = [%q, \"he\"]\n", servant))
}

// TestDaemonDiesUnderLoad: kill -9 at random moments. Nothing runs twice or is
// left behind, nothing restarts that nobody asked to, no hold and no line is lost.
func TestDaemonDiesUnderLoad(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(killsEnv))
	if err != nil {
		kills = 20
	}
	liveBothWays(t, func(m *machine) {
		b := &bustle{machine: m, minds: map[string]*mind{}, stay: map[string]int{}}
		b.scene()
		b.begin()
		began := time.Now()
		for left, round := kills, 0; left > 0; round++ {
			n := min(left, 50)
			b.round(n)
			b.books(round)
			left -= n
		}
		took := time.Since(began)
		b.insist("stop", "count")
		said, err := strconv.Atoi(b.lines("counted")[0])
		must(m.T, err)
		m.Until("the last number is in the log", func() bool { b.numbers(); return b.counted == said })
		b.k.stop()
		if left := b.strangers(nil); left != nil {
			b.Errorf("left behind: %v", left)
		}
		m.Logf("%d deaths in %.0f s, %d flaps, %d verbs (%d asked again): 0 duplicates, 0 orphans, 0 restarts of those that stay, %d lines, 0 lost, 0 doubled",
			kills, took.Seconds(), b.flaps.Load(), b.verbs.Load(), b.repeated.Load(), said)
	})
}

func (b *bustle) begin() {
	b.Helper()
	b.k = b.keep((*exec.Cmd).Start)
	b.insist("status")
	b.hold = b.hsctl("hold", "held", "--", "sleep", "1000")
	must(b.T, b.hold.Start())
	b.Cleanup(func() { b.hold.Process.Kill(); b.hold.Wait() })
	for i := range b.plugged {
		b.cable(fmt.Sprint("wan", i))
		b.plugged[i] = true
	}
	b.insist(append([]string{"wait"}, stayers...)...)
	for _, name := range stayers {
		b.stay[name] = b.Main(name)
	}
	for _, name := range []string{"base", "top", "web", "bh", "prog", "he"} {
		b.minds[name] = &mind{holds: map[string]bool{}}
	}
}

// round kills so many daemons while all else goes on.
func (b *bustle) round(kills int) {
	b.Helper()
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { b.flap(stop) })
	others.Go(func() { b.person(stop, "base", "web", "prog") })
	others.Go(func() { b.person(stop, "top", "bh", "he") })
	for range kills {
		if rand.IntN(2) == 0 { // else it may be before it has begun
			b.Until("the daemon answers", func() bool { _, err := b.Report(); return err == nil })
		}
		time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		lives := b.k.born()
		b.k.signal(syscall.SIGKILL)
		b.Until("the next daemon is there", func() bool { return b.k.born() > lives })
		if twice := b.twice(); twice != nil {
			b.Fatalf("they run twice: %v", twice)
		}
	}
	close(stop)
	others.Wait()
}

func (b *bustle) flap(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
		}
		i := rand.IntN(len(b.plugged))
		if b.plugged[i] = !b.plugged[i]; b.plugged[i] {
			b.plug(fmt.Sprint("wan", i))
		} else {
			b.pull(fmt.Sprint("wan", i))
		}
		b.flaps.Add(1)
	}
}

// person asks for this and that, and insists until it is done.
func (b *bustle) person(stop chan struct{}, about ...string) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
		}
		name := about[rand.IntN(len(about))]
		mind := b.minds[name]
		who := fmt.Sprint("p", rand.IntN(3))
		switch rand.IntN(8) {
		case 0:
			b.say("start", name)
			mind.cap = ""
		case 1:
			b.say("stop", name)
			if mind.cap == "" {
				mind.cap = "stop"
			}
		case 2:
			b.say("block", name)
			mind.cap = "block"
		case 3:
			b.say("unblock", name)
			mind.cap = ""
		case 4:
			b.say("restart", name)
		case 5:
			b.say("release", name, "--as", who)
			delete(mind.holds, who)
		default:
			b.say("require", name, "--as", who)
			mind.holds[who] = true
		}
	}
}

// say has it done by whichever daemon is there. That something cannot be done
// now, as a restart of what is down, or has been done already, is an answer too.
func (b *bustle) say(args ...string) {
	b.verbs.Add(1)
	for end := time.Now().Add(20 * time.Second); ; b.repeated.Add(1) {
		out, err := b.hsctl(append(args, "--no-wait")...).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil, errors.As(err, &exit) && exit.ExitCode() == 1 && (args[0] == "restart" || args[0] == "release"):
			return
		case time.Now().After(end) || exit == nil || exit.ExitCode() != 111:
			b.Errorf("hsctl %v: %v: %s", args, err, out)
			return
		}
	}
}

// twice names the services of which two processes are there.
func (b *bustle) twice() (names []string) {
	seen := map[string]int{}
	for _, pid := range livetest.Descendants(os.Getpid()) {
		words := argv(pid)
		if _, name, ok := strings.Cut(words, b.Path("servant")+" "); ok && argv(parentOf(pid)) != words { // no child on its way to be sleep
			if seen[name]++; seen[name] == 2 {
				names = append(names, name)
			}
		}
	}
	for _, line := range b.lines("journal") {
		if strings.HasPrefix(line, "twice") {
			names = append(names, line)
		}
	}
	return names
}

// books: when it is quiet, all is as the cables are and as people have said.
func (b *bustle) books(round int) {
	b.Helper()
	wrong := []string{"nobody has looked"}
	for end := time.Now().Add(30 * time.Second); wrong != nil; time.Sleep(50 * time.Millisecond) {
		if wrong = b.audit(); wrong != nil && time.Now().After(end) {
			b.Fatalf("after round %d:\n%s\nthe daemons said last:\n%s", round, strings.Join(wrong, "\n"), strings.Join(last(b.lines("said"), 60), "\n"))
		}
	}
	b.numbers()
	for _, pid := range children(os.Getpid()) { // what daemons left behind has ended since
		if pid != b.hold.Process.Pid && pid != b.k.pid() {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

func (b *bustle) audit() (wrong []string) {
	tell := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	r, err := b.Report()
	if err != nil {
		return []string{err.Error()}
	}
	mains := map[int]string{}
	up := map[string]bool{}
	for _, s := range r.Services {
		up[s.Name] = s.State == "up"
		if s.Pid != nil {
			mains[*s.Pid] = s.Name
		}
		if pid, ok := b.stay[s.Name]; ok && (s.State != "up" || *s.Pid != pid || s.Restarts != 0) {
			tell("%s is %s with pid %v, before %d, %d restarts", s.Name, s.State, s.Pid, pid, s.Restarts)
		}
		mind := b.minds[s.Name]
		if mind == nil {
			continue
		}
		holds, kind := map[string]bool{}, ""
		for _, h := range s.Holds {
			if who, ok := strings.CutPrefix(h.Holder, "as:"); ok {
				holds[who] = true
			}
		}
		if s.Blocked != nil {
			kind = s.Blocked.Kind
		}
		if kind != mind.cap || fmt.Sprint(holds) != fmt.Sprint(mind.holds) {
			tell("%s: cap %q, should be %q; held by %v, should be by %v", s.Name, kind, mind.cap, holds, mind.holds)
		}
		if want := s.Want == "up"; up[s.Name] != want {
			tell("%s is %s, want %s", s.Name, s.State, s.Want)
		}
	}
	for i, plugged := range b.plugged {
		name := fmt.Sprint("net@wan", i)
		if plugged = plugged && b.minds["base"].cap == ""; up[name] != plugged {
			tell("%s is up: %v, and should be: %v", name, up[name], plugged)
		}
	}
	for _, s := range b.strangers(mains) {
		tell("orphan: %s", s)
	}
	for _, name := range b.twice() {
		tell("%s", name)
	}
	return wrong
}

// strangers are processes that belong to nothing that is known to run.
func (b *bustle) strangers(mains map[int]string) (all []string) {
	for _, pid := range livetest.Descendants(os.Getpid()) {
		if pid == b.hold.Process.Pid || pid == b.k.pid() || mains[pid] != "" || mains[parentOf(pid)] != "" {
			continue
		}
		if words := argv(pid); words != "sh -c sleep 0.05; exit 7" && words != "sleep 0.05" && words != argv(b.k.pid()) { // those of crashes
			all = append(all, fmt.Sprintf("%d %s", pid, words))
		}
	}
	return all
}

// numbers: each number that count said is in its log, once; old files of it may
// be gone, but not before they have been looked at.
func (b *bustle) numbers() {
	b.Helper()
	log := b.log("count")
	first, err := strconv.Atoi(log[0])
	must(b.T, err)
	if first > b.counted {
		b.Fatalf("the log of count begins with %d, and %d is not seen yet", first, b.counted)
	}
	for i, line := range log {
		if line != itoa(first+i) {
			b.Fatalf("after %d comes %s in the log of count", first+i-1, line)
		}
	}
	b.counted = first + len(log)
}

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// children are those of a process that are there, dead or alive.
func children(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
