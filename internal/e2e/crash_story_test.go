//go:build amd64 || arm64

package e2e_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/status"
)

// drama is one play of the story: the daemon dies in it, and is started again.
type drama struct {
	*machine
	w    *watch
	k    *keeper
	hold *exec.Cmd // of side, by a process

	restarts, requires int  // how often those had to ask whose answer got lost
	late               bool // a daemon died after count was told to end
	midst, end         string
}

// scene is all that the story is played with: each way in which a service is
// held, started and stopped, in two dialects, with cgroups and what goes without.
func (d *drama) scene() {
	d.Helper()
	servant := d.servant()
	service := func(name, more string) {
		d.service(name, fmt.Sprintf("exec_start = [%q, %q]\nready = \"fd:3\"\n%s\n", servant, strings.TrimSuffix(name, "@"), more))
	}
	note := func(key, word string) string {
		return fmt.Sprintf("%s = [\"sh\", \"-c\", \"echo %s >>%s\"]\n", key, word, d.Path("journal"))
	}
	d.rules(strings.Replace(cableRule, `linger  = "500ms"`, "", 1))
	service("lamp", "start_at_boot = true")
	service("other", "start_at_boot = true")
	service("side", "limits = { nofile = 256 }") // born on a thread of its own
	service("base@", "")
	d.service("slow", fmt.Sprintf("start_at_boot = true\nexec_start = [%q, \"slow\"]\nready = \"check\"\ncheck = [\"test\", \"-e\", %q]\ncheck_every = \"50ms\"\n", servant, d.Path("pid-slow")))
	d.service("setup@", "type = \"oneshot\"\n"+note("exec_start", "setup")+note("exec_stop", "undo"))
	service("net@", `needs = ["base@{instance}", "setup@{instance}"]`+"\n"+note("exec_start_pre", "pre")+note("exec_stop_post", "post"))
	self, err := os.Executable()
	must(d.T, err)
	d.service("count", fmt.Sprintf("exec_start = [%q]\nenv = { %s = %q }\n", self, counterFile, d.Path("counted")))
	d.services("runit:sv")
	d.script("sv/web/run", "for i in 1 2 3 4 5; do echo web line $i; done; exec sleep 1000")
	d.script("sv/web/log/run", "exec cat >>"+d.Path("web.log"))
}

// play is the story, to its end. It is the same for every death. For a play that
// is not the first, the pictures are what they are to become.
func (d *drama) play() {
	d.Helper()
	d.k = d.keep(d.w.start)
	d.insist("status")
	d.holding()
	d.cable("wan0")
	d.Cleanup(func() { exec.Command("ip", "link", "del", "wan0").Run() })
	d.insist("require", "count", "--as", "me")
	d.requires = d.insist("require", "count")
	d.insist("wait", "net@wan0", "side", "lamp", "other", "slow", "web")
	d.limited()
	d.restarts = d.insist("restart", "side")
	d.limited()
	d.insist("stop", "lamp")
	d.insist("upgrade")
	d.insist("block", "other")
	d.remove("wan0")
	d.insist("wait", "--for", "down", "net@wan0", "base@wan0", "setup@wan0")
	d.compare("midst", &d.midst)
	died := d.k.born()
	d.insist("stop", "count")
	d.k.stop()
	if d.late = d.k.born() > died; !d.late { // else the next one began all anew that boot holds, as it should
		d.compare("end", &d.end)
	}
	d.counted()
}

// holding starts the process that holds side. While one daemon is dead and the
// next one does not listen yet, hsctl says so and ends: then it is started again.
func (d *drama) holding() {
	d.Helper()
	for held := false; !held; {
		var said bytes.Buffer
		d.hold = d.hsctl("hold", "side", "--", "sleep", "1000")
		d.hold.Stderr = &said
		must(d.T, d.hold.Start())
		ended := make(chan struct{})
		go func() { d.hold.Wait(); close(ended) }()
		d.Cleanup(func() { d.hold.Process.Kill(); <-ended })
		d.Until("side is held", func() bool {
			select {
			case <-ended:
				return true
			default:
			}
			r, err := d.Report("side")
			held = err == nil && len(r.Services) == 1 && slices.ContainsFunc(r.Services[0].Holds, func(h status.Hold) bool {
				return h.Holder == fmt.Sprintf("pid:%d", d.hold.Process.Pid)
			})
			return held
		})
		if !held && !strings.Contains(said.String(), "no daemon on") {
			d.Fatalf("hsctl hold: %s", said.String())
		}
	}
}

// limited: the resource limits of side are set after its birth.
func (d *drama) limited() {
	d.Helper()
	var files unix.Rlimit
	must(d.T, unix.Prlimit(d.Main("side"), unix.RLIMIT_NOFILE, nil, &files))
	if files.Cur != 256 {
		d.Errorf("side may open %d files, not 256", files.Cur)
	}
}

// compare waits until all is as it was in the first play; in that one, until
// nothing changes any more.
func (d *drama) compare(when string, was *string) {
	d.Helper()
	now := ""
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		before := now
		if now = d.picture(); now == *was {
			return
		}
		if *was == "" && now == before && before == d.picture() {
			*was = now
			return
		}
	}
	d.Fatalf("%s: - as it should be, + as it is:\n%s", when, cmp.Diff(strings.Split(*was, "\n"), strings.Split(now, "\n")))
}

// counted: each number that count has said is in its log, once and in order. What
// a service says and then ends while no daemon is there is lost (S37).
func (d *drama) counted() {
	d.Helper()
	said, err := strconv.Atoi(d.lines("counted")[0])
	must(d.T, err)
	log := d.log("count")
	for i, line := range log {
		if line != itoa(i) {
			d.Fatalf("line %d of count's log is %s", i, line)
		}
	}
	if len(log) > said || len(log) < said && !d.late {
		d.Fatalf("count said %d lines, and %d are in its log", said, len(log))
	}
}

// picture is all that anybody could see, as text without what differs from one
// play to the next. A death may have something done twice: a command that began
// and ended while no daemon had noted it (S26, S30); a logger whose service has
// not begun, so that nobody else had its input open; a service that was only just
// born, and did not have its limits yet; and what people asked for twice because
// nobody answered.
func (d *drama) picture() string {
	d.Helper()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if r, err := d.Report(); err == nil {
		mains := map[int]string{}
		for _, s := range r.Services {
			var holds []string
			for _, h := range s.Holds {
				holds = append(holds, fmt.Sprintf("%s %d", h.Holder, h.Count))
			}
			blocked := ""
			if s.Blocked != nil {
				blocked = s.Blocked.Kind
			}
			line("service %s: %s, want %s, %s, held by %v, %d failures", s.Name, s.State, s.Want, blocked, holds, s.Failures)
			if s.Pid != nil {
				mains[*s.Pid] = s.Name
			}
			if s.Name != "side" && s.Restarts != 0 {
				line("%s was restarted %d times", s.Name, s.Restarts)
			}
		}
		for _, pid := range livetest.Descendants(os.Getpid()) {
			switch parent := parentOf(pid); {
			case pid == d.k.pid() || pid == d.hold.Process.Pid:
			case mains[pid] != "":
				line("process of %s", mains[pid])
			default:
				line("process %s below %s", argv(pid), mains[parent])
			}
		}
	} else {
		for _, pid := range livetest.Descendants(os.Getpid()) {
			if pid != d.hold.Process.Pid {
				line("process %s", argv(pid))
			}
		}
	}
	journal := d.journal()
	delete(journal, "end side") // not of one that was only just born
	for name, once := range map[string]int{"pre": 1, "post": 1, "setup": 1, "undo": 1, "sv/web/log/run": 1, "start side": 2} {
		again := len(d.w.died)
		if name == "start side" {
			again += d.restarts - 1
		}
		if n := journal[name]; n > once && n <= once+again {
			journal[name] = once
		}
	}
	for name, n := range journal {
		line("%d times in the journal: %s", n, name)
	}
	stat, _ := os.ReadFile(d.Path("sv/web/supervise/stat"))
	line("web's supervise/stat: %s", strings.TrimSpace(string(stat)))
	for _, l := range d.lines("web.log") {
		line("web said %s", l)
	}
	for _, root := range []string{d.cgroup(), d.Path("run"), d.Path("log"), d.Path("sv")} {
		filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err == nil && (root != d.cgroup() || e.IsDir()) {
				line("file %s", d.w.short(path))
			}
			return nil
		})
	}
	text := strings.ReplaceAll(b.String(), fmt.Sprintf("pid:%d ", d.hold.Process.Pid), "HOLDER ")
	if d.requires > 1 { // it may have been done more than once
		text = regexp.MustCompile(`uid:0 \d`).ReplaceAllString(text, "uid:0 1")
	}
	all := strings.Split(text, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// journal counts its lines.
func (d *drama) journal() map[string]int {
	n := map[string]int{}
	for _, l := range d.lines("journal") {
		n[l]++
	}
	return n
}

// cgroup is the daemon's; it is named after the run directory.
func (d *drama) cgroup() string {
	h := fnv.New32a()
	h.Write([]byte(d.Path("run")))
	return fmt.Sprintf("/sys/fs/cgroup/hotsvc-%08x", h.Sum32())
}
