package runit_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16") // they wait most of the time
	os.Exit(livetest.Build(m, []string{"sv", "svc", "svok"}))
}

// A transcript is a story that is told three times: to Debian's runsvdir and sv
// (side "runit", the oracle), to hotsvc and our sv ("hotsvc"), and to Debian's
// sv with hotsvc's supervise/ before it ("face"). Its files are service
// directories below s/; then
//
//	$ COMMAND         for sh, in the directory above s
//	what it says      on stdout and stderr, with (pid P) and Ns for pids and seconds
//	[1]               its exit status, where that is not 0
//	! hotsvc face: …  why these sides differ here, and after it what they say instead
//
// `await TEXT COMMAND` returns when what COMMAND says has TEXT in it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			story := readTranscript(t, file)
			for _, side := range sides {
				t.Run(side, func(t *testing.T) {
					if side == "runit" || side == "face" {
						debian(t)
					}
					livetest.Live(t, func(m *livetest.Machine) { tell(m, story, side) })
				})
			}
		})
	}
}

var sides = []string{"runit", "hotsvc", "face"}

// debian is where Debian's programs are.
func debian(t *testing.T) string {
	out, err := exec.Command("../../../scripts/runit").CombinedOutput()
	if err != nil {
		t.Skipf("no runit to compare with: %s", out)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "usr/bin")
}

type transcript struct {
	files map[string]string
	steps []step
}

type step struct {
	command string
	says    map[string]string // by side
}

var partMark = regexp.MustCompile(`^-- (.+) --$`)

func readTranscript(t *testing.T, file string) (s transcript) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.files = map[string]string{}
	part := ""
	var to []string // sides that say the present line
	for line := range strings.Lines(string(data)) {
		if m := partMark.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			part = m[1]
			if part != "transcript" {
				s.files[part] = "" // it may be empty
			}
			continue
		}
		switch {
		case part == "": // what the story is about
		case part != "transcript":
			s.files[part] += line
		case strings.HasPrefix(line, "$ "):
			s.steps = append(s.steps, step{strings.TrimSpace(line[2:]), map[string]string{}})
			to = sides
		case strings.HasPrefix(line, "! "):
			who, why, ok := strings.Cut(line[2:], ": ")
			if !ok || strings.TrimSpace(why) == "" {
				t.Fatalf("%s: a difference without its reason: %s", file, line)
			}
			to = strings.Fields(who)
			for _, side := range to {
				s.steps[len(s.steps)-1].says[side] = ""
			}
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			for _, side := range to {
				s.steps[len(s.steps)-1].says[side] += line
			}
		}
	}
	return s
}

// tell has one side go through a transcript.
func tell(m *livetest.Machine, s transcript, side string) {
	for name, text := range s.files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		m.File("s/"+name, text, mode)
	}
	m.Env = append(m.Env, "SVDIR="+m.Path("s"), "PATH="+m.Path("bin")+":"+os.Getenv("PATH"))
	supervise(m, side)
	for _, step := range s.steps {
		if got := shell(m, step.command); got != step.says[side] {
			m.Fatalf("%s: $ %s\ngot:\n%swant:\n%s", side, step.command, got, step.says[side])
		}
	}
}

// supervise gives a side its programs, and starts who supervises.
func supervise(m *livetest.Machine, side string) {
	m.Script("bin/await", `text=$1; shift; n=0
until "$@" 2>/dev/null | grep -q -- "$text"; do
	sleep 0.05; n=$((n+1))
	[ $n -lt 200 ] || { echo "await $text: not in time; $*:"; "$@"; exit 1; }
done`)
	link := func(to string, names ...string) {
		for _, name := range names {
			if err := os.Symlink(to, m.Path("bin/"+name)); err != nil {
				m.Fatal(err)
			}
		}
	}
	if side == "hotsvc" {
		for _, name := range []string{"sv", "svc", "svok"} {
			link(m.Command(name).Path, name)
		}
	} else {
		busybox, err := exec.LookPath("busybox")
		if err != nil {
			m.Skip("no busybox for svc and svok")
		}
		link(busybox, "svc", "svok")
		for _, name := range []string{"sv", "runsv", "runsvdir"} {
			link(filepath.Join(debian(m.T), name), name)
		}
	}
	if side == "runit" {
		cmd := m.Command(m.Path("bin/runsvdir"), m.Path("s"))
		if err := cmd.Start(); err != nil {
			m.Fatal(err)
		}
	} else {
		m.Boot(m.Path("s"))
	}
	runs, _ := filepath.Glob(m.Path("s/*/run"))
	logs, _ := filepath.Glob(m.Path("s/*/log/run"))
	for _, run := range append(runs, logs...) {
		m.Until(run+" supervised", func() bool { return supervised(filepath.Dir(run)) })
	}
}

// supervised tells whether all that sv reads of a directory is there.
func supervised(dir string) bool {
	fd, err := unix.Open(dir+"/supervise/ok", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	_, err = os.Stat(dir + "/supervise/status")
	return err == nil
}

var (
	pids  = regexp.MustCompile(`\(pid \d+\)`)
	spans = regexp.MustCompile(`\b\d+s\b`)
	blank = regexp.MustCompile(`\n{2,}`)
)

// shell runs one line and returns what it said, made comparable.
func shell(m *livetest.Machine, line string) string {
	cmd := m.Command("timeout", "30", "/bin/sh", "-c", line)
	cmd.Dir = m.Dir
	out, _ := cmd.CombinedOutput()
	text := strings.ReplaceAll(same(string(out)), m.Dir, "DIR")
	text = strings.TrimPrefix(blank.ReplaceAllString(text, "\n"), "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		text += fmt.Sprintf("[%d]\n", code)
	}
	return text
}

// same is what sv says without what is never the same twice.
func same(text string) string {
	return spans.ReplaceAllString(pids.ReplaceAllString(text, "(pid P)"), "Ns")
}
