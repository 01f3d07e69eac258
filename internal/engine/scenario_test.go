package engine

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// A scenario is a story in testdata/scenarios: files as an administrator writes
// them, and then what happens, line by line, with what the core does about it.
//
//	-- rules.d/50-wired.toml --      files; "v2/services/x.toml" is of a later configuration
//	-- services/dhcp@.toml --
//	-- story --
//	link 3 name=eth0 running=true    an input, at the time of the one before it
//	      > dhcp@eth0: down → …      what the core does then (written by -update)
//	+5s   gone link 3                an input five seconds later
//	1m                               let time pass until then
//
// Inputs, several of one Step joined by " ; ":
//
//	link 3 name=eth0 running=true    an object is there, or some of its words are new; word=- is absent, word=? unknown;
//	device /devices/x SUBSYSTEM=tty  life=N and flaps=N set its incarnation and carrier losses. Losing `running`
//	mount /data · clock …            counts a carrier loss by itself. A mount may come with fstype=…
//	gone link 3 · move /a /b         the object goes; a device moves
//	lost link 3 running=false        the same, but the message is lost: nobody tells the core
//	full link · full all             a source lists all that there is; resync link: it has lost messages
//	source clock failed              how a source is
//	call stop dhcp@eth0              a person asks. --uid N --as X --for down --timeout 5s --no-wait --not;
//	                                 --pid N: that client process; --from S: a process of service S;
//	                                 --signal HUP
//	hangup 2 · dies 500              the caller of call 2, the client with pid 500, is gone
//	exit dhcp@eth0 1 · exit x SEGV   the main process (x.pre, x.post, x.undo: that command) ends
//	ready x · free x                 it says READY; what was stuck or hung goes on
//	term x 3s · deaf x · stuck x     from TERM to its end; ignores TERM; not even KILL ends it
//	leaves x                         it leaves processes behind when it ends
//	next x fails no-exec: text       the next spawn of x, or x.pre …: fails [no-exec:] text, exits 1 [after 2s], hangs
//	always x exits 1 after 10ms      the same for every spawn; always x behaves: no more
//	reload v2 [without FILE …]       the files overlaid by those of v2/
//	plan [v2]                        what they, or those in force, would start and end
//	daemon dies · daemon starts [v2] and is born again, with nothing listed yet
//	show interest                    what the sources are asked to read
//
// All sources have listed before the story begins, unless its first line is
// `unlisted`. Daemons live until they are told to end, 100 ms after TERM; all
// else exits 0 at once.
var update = flag.Bool("update", false, "write what the core does into the stories")

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		name := strings.TrimPrefix(strings.TrimSuffix(file, ".txtar"), "testdata/scenarios/")
		t.Run(name, func(t *testing.T) { tell(t, file) })
	}
}

const storyMark = "-- story --\n"

// tell runs one story and compares what it tells with what is written.
func tell(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, written, ok := strings.Cut(string(data), storyMark)
	if !ok {
		t.Fatalf("%s has no story", file)
	}
	s := newStory(t, storyParts(head))
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: after\n%s\nthe core panics: %v", file, s.out.String(), p)
		}
	}()
	got := s.run(written)
	if got == written {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+storyMark+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: the story goes another way (-update accepts it):\n%s", file, storyDiff(written, got))
}

// storyParts are the files of a story by name.
func storyParts(head string) map[string]string {
	parts := map[string]string{}
	name := ""
	for line := range strings.Lines(head) {
		if text := strings.TrimRight(line, "\n"); strings.HasPrefix(text, "-- ") && strings.HasSuffix(text, " --") {
			name = text[3 : len(text)-3]
			parts[name] = ""
		} else if name != "" {
			parts[name] += line
		}
	}
	return parts
}

// storyDiff shows the lines that differ, with one before and after.
func storyDiff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	same := make([][]int, len(a)+1) // same[i][j]: length of what a[i:] and b[j:] have in common
	for i := range same {
		same[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if same[i][j] = max(same[i+1][j], same[i][j+1]); a[i] == b[j] {
				same[i][j] = same[i+1][j+1] + 1
			}
		}
	}
	var out strings.Builder
	last := ""
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			last = a[i]
			i, j = i+1, j+1
			continue
		case j == len(b) || i < len(a) && same[i+1][j] >= same[i][j+1]:
			fmt.Fprintf(&out, "  %s\n- %s\n", last, a[i])
			i++
		default:
			fmt.Fprintf(&out, "  %s\n+ %s\n", last, b[j])
			j++
		}
		last = "…"
	}
	return out.String()
}

// story is one run: the world around a core, which does as it is told.
type story struct {
	journal []byte // of the present daemon
	t       *testing.T
	parts   map[string]string
	out     bytes.Buffer
	last    time.Duration // of the last line that was printed

	core  *Core
	epoch int // of the daemon
	now   time.Duration
	wake  time.Duration
	queue []storyEvent

	objects  map[object.Key]*object.Object // what there is, told or not
	lives    uint64
	disk     map[string][]byte
	global   []byte
	procs    map[string]*storyProc
	letBe    map[storyTree]bool // where something was left with kill_mode = "main"
	manner   map[string]*manner
	next     map[string]string // how the next spawn of x or x.pre goes
	always   map[string]string
	calls    []Call
	asked    []string // the calls as they were typed
	clients  map[Client]bool
	interest *Interest
}

type storyEvent struct {
	at time.Duration
	do func()
}

// storyStart is where the monotonic clock stands when a story begins.
const storyStart = time.Hour

func (s *story) clock() Now {
	return Now{Mono: storyStart + s.now, Wall: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC).Add(s.now)}
}

func newStory(t *testing.T, parts map[string]string) *story {
	return &story{t: t, parts: parts, objects: map[object.Key]*object.Object{}, disk: map[string][]byte{}, procs: map[string]*storyProc{}, letBe: map[storyTree]bool{},
		manner: map[string]*manner{}, next: map[string]string{}, always: map[string]string{}, clients: map[Client]bool{}}
}

// config reads the story's files, those of a later version above the first ones.
func (s *story) config(version string, without []string) *config.Config {
	s.t.Helper()
	dirs := map[string]fstest.MapFS{"rules.d": {}, "services": {}}
	add := func(name, text string) {
		dir, file, _ := strings.Cut(name, "/")
		if dirs[dir] == nil {
			s.t.Fatalf("no place for a file %s", name)
		}
		dirs[dir][file] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if strings.HasPrefix(text, "#!") {
			dirs[dir][file].Mode = 0o755
		}
	}
	later := regexp.MustCompile(`^v[0-9]+/`)
	for _, name := range sortedKeys(s.parts) {
		if !later.MatchString(name) {
			add(name, s.parts[name])
		}
	}
	for _, name := range without {
		dir, file, _ := strings.Cut(name, "/")
		delete(dirs[dir], file)
	}
	for _, name := range sortedKeys(s.parts) {
		if rest, ok := strings.CutPrefix(name, version+"/"); ok && version != "" {
			add(rest, s.parts[name])
		}
	}
	conf, problems := config.Load(config.Input{
		Settings: config.DefaultSettings(), Strict: true, Mounts: []string{"/data"},
		Rules:    []config.Source{{Name: "rules.d", FS: dirs["rules.d"]}},
		Services: []config.Source{{Name: "services", FS: dirs["services"]}},
	})
	if toml.HasErrors(problems) {
		s.t.Fatalf("the story's files have problems: %v", problems)
	}
	return conf
}

// start has a daemon come to life.
func (s *story) start(version string) {
	s.replay() // of the daemon before
	s.epoch++
	s.core = New(Options{Version: "story", BootID: "boot", Env: []string{"PATH=/bin"}, Sources: []string{"uevent", "link", "mount", "clock"}},
		s.config(version, nil), s.clock())
	s.core.Restore(s.disk, s.global, s.live())
	s.step()
	s.listen()
}

var storyTime = regexp.MustCompile(`^(\+?)([0-9][0-9a-z.]*)(?:\s+|$)`)

// run tells the story and returns it with what the core did.
func (s *story) run(text string) string {
	s.t.Helper()
	s.start("")
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		rest := strings.TrimSpace(line)
		if i == 0 && rest != "unlisted" {
			s.do("full all")
			s.drain()
		}
		if strings.HasPrefix(outputTime.ReplaceAllString(rest, ""), ">") {
			continue // what the core did last time
		}
		if m := storyTime.FindStringSubmatch(rest); m != nil {
			at, err := time.ParseDuration(m[2])
			if err != nil {
				s.t.Fatalf("%q: %v", line, err)
			}
			if m[1] == "+" {
				at += s.now
			}
			if at < s.now {
				s.t.Fatalf("%q: it is %v already", line, s.now)
			}
			s.pass(at)
			rest = rest[len(m[0]):]
		}
		s.out.WriteString(strings.TrimRight(line, " ") + "\n")
		if s.last = s.now; rest != "" && rest[0] != '#' && rest != "unlisted" {
			s.do(rest)
			s.drain()
		}
	}
	s.replay()
	return s.out.String()
}

var outputTime = regexp.MustCompile(`^[0-9][0-9a-z.]*\s+`)

// say prints a line of what the core does.
func (s *story) say(format string, args ...any) {
	at := ""
	if s.now != s.last {
		at = s.now.String()
	}
	s.last = s.now
	fmt.Fprintf(&s.out, "%-5s > %s\n", at, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// pass lets time pass, and what is due happen.
func (s *story) pass(until time.Duration) {
	for n := 0; ; n++ {
		at, do := s.due()
		if at > until {
			break
		}
		if n > 5000 {
			s.t.Fatalf("at %v the story does not go on", s.now)
		}
		s.now = max(s.now, at)
		do()
	}
	s.now = until
}

// due is what happens next, and when.
func (s *story) due() (time.Duration, func()) {
	first := -1
	for i := range s.queue {
		if first < 0 || s.queue[i].at < s.queue[first].at {
			first = i
		}
	}
	if wake := s.wake - storyStart; s.wake > 0 && s.core != nil && (first < 0 || wake < s.queue[first].at) {
		return wake, func() { s.step() }
	}
	if first < 0 {
		return 1 << 62, nil
	}
	e := s.queue[first]
	return e.at, func() {
		s.queue = append(s.queue[:first:first], s.queue[first+1:]...)
		e.do()
	}
}

func (s *story) drain() { s.pass(s.now) }

func (s *story) after(d time.Duration, do func()) {
	s.queue = append(s.queue, storyEvent{s.now + d, do})
}

// post puts an input in this daemon's inbox, unless it dies before.
func (s *story) post(in Input) {
	epoch := s.epoch
	s.after(0, func() {
		if s.epoch == epoch && s.core != nil {
			s.step(in)
		}
	})
}

func (s *story) step(in ...Input) {
	effects, wake := s.core.Step(s.clock(), in)
	s.wake = wake
	for i := range effects {
		if !s.heard(&effects[i]) {
			s.effect(&effects[i])
		}
	}
}
