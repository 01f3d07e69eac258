package svlogd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotsvc/internal/livetest"
)

// What we do otherwise than Debian's svlogd, on purpose.

// TestLastLineWithoutEndIsKept: at the end of input, and at SIGTERM; svlogd 2.1.2
// drops it.
func TestLastLineWithoutEndIsKept(t *testing.T) {
	for input, want := range map[string]string{
		"one\ntwo":                               "one\ntwo\n",
		"one\n" + strings.Repeat("x", 1500):      "one\n" + strings.Repeat("x", 1500) + "\n",
		"one\n" + strings.Repeat("x", 999):       "one\n" + strings.Repeat("x", 999) + "\n",
		"\n":                                     "\n",
		"a\n" + strings.Repeat("x", 1000) + "\n": "a\n" + strings.Repeat("x", 1000) + "\n",
	} {
		for _, end := range []string{"end of input", "SIGTERM"} {
			cwd := t.TempDir()
			log := write(t, filepath.Join(cwd, "log"), nil)
			r := start(t, nil, ours(t), cwd, "log")
			r.print(input)
			if end == "SIGTERM" {
				livetest.Until(t, "it has read", r.taken)
				r.signal(syscall.SIGTERM)
			} else {
				r.in.Close()
			}
			if exit := r.exit(); exit != 0 {
				t.Errorf("exit %d", exit)
			}
			if b, err := os.ReadFile(filepath.Join(log, "current")); err != nil || string(b) != want {
				t.Errorf("%s: %q became %q, %v", end, input, b, err)
			}
		}
	}
}

// TestTheRestOfALongLineIsReplacedToo: with -r nothing that a terminal obeys gets
// into the log; svlogd 2.1.2 lets it through after the first LEN bytes.
func TestTheRestOfALongLineIsReplacedToo(t *testing.T) {
	cwd := t.TempDir()
	log := write(t, filepath.Join(cwd, "log"), nil)
	feed(t, ours(t), cwd, strings.Repeat("x", 20)+"\x1b[2J\n", "-r", "_", "-l", "10", "log")
	if got, want := lines(t, log), strings.Repeat("x", 20)+"_[2J"; len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}

// TestUnknownConfigurationIsSaid: svlogd 2.1.2 says nothing, or takes a part.
func TestUnknownConfigurationIsSaid(t *testing.T) {
	cwd := t.TempDir()
	log := write(t, filepath.Join(cwd, "log"), files{"config": "n5\nsmall\nwhat\nppre \n"})
	o := feed(t, ours(t), cwd, "x\n", "log")
	if want := `svlogd: warning: log/config:2: not a number, or too great: "mall"; the line is ignored
svlogd: warning: log/config:3: unknown line "what"; the line is ignored
`; o.exit != 0 || o.stderr != want {
		t.Errorf("%+v", o)
	}
	if got := lines(t, log); len(got) != 1 || got[0] != "pre x" {
		t.Errorf("%q", got)
	}
}

// TestFailingProcessorIsGivenUp: the real one runs it again and again, and reads
// nothing any more.
func TestFailingProcessorIsGivenUp(t *testing.T) {
	cwd := t.TempDir()
	log := write(t, filepath.Join(cwd, "log"), files{"config": "s1100\n!false\n"})
	o := feed(t, ours(t), cwd, strings.Repeat(strings.Repeat("y", 200)+"\n", 3), "log")
	if n := strings.Count(o.stderr, "processor: exit status 1"); o.exit != 0 || n != 15 {
		t.Errorf("exit %d, tried %d times:\n%s", o.exit, n, o.stderr)
	}
	if got := lines(t, log); len(got) != 3 || rotated(t, log) != 3 {
		t.Errorf("%q in\n%s", got, describe(t, log))
	}
}

// TestNobodyReadsStderr: that is no reason to lose a log; SIGPIPE ends the real one.
func TestNobodyReadsStderr(t *testing.T) {
	cwd := t.TempDir()
	log := write(t, filepath.Join(cwd, "log"), files{"config": "e*\n"})
	nobody, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	defer stderr.Close()
	r := start(t, stderr, ours(t), cwd, "-v", "log", "missing")
	r.print("one\n")
	has(t, log, "one")
	r.print("two\n")
	has(t, log, "one", "two")
}
