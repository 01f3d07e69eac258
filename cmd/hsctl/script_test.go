package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The transcripts in testdata are txtar archives in the language of testscript,
// of which the runner below knows what they use. They run before a fake engine,
// before the real one, and before a daemon; the condition [fake] holds for the
// first. Two commands are their own:
//
//	daemon [stop|deaf|problem]         the daemon that hsctl asks
//	code N CMD…                        like exec, with that exit status

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "hsctl" {
		main()
	}
	os.Exit(m.Run())
}

// daemon is what a transcript's daemon command starts.
type daemon interface {
	set(what string)
	stop()
}

func TestTranscripts(t *testing.T) {
	t.Run("fake", func(t *testing.T) { transcripts(t, startFake, "testdata/*.txtar", "testdata/fake/*.txtar") })
	t.Run("core", func(t *testing.T) { transcripts(t, startCore, "testdata/*.txtar") })
}

func transcripts(t *testing.T, start func(dir string) (daemon, error), patterns ...string) {
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			t.Fatal("no transcripts ", p, err)
		}
		files = append(files, found...)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "hsctl")); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{t: t, dir: t.TempDir(), launch: start, background: map[string]*process{}}
			s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOTSVC_SOCKET=" + s.dir + "/control", "WORK=" + s.dir, "HOME=" + s.dir, "TZ=UTC", "GORACE=atexit_sleep_ms=0"}
			defer s.end()
			for i, line := range strings.Split(s.unpack(string(text)), "\n") {
				s.line = fmt.Sprintf("%s:%d: %s", file, i+1, line)
				s.do(words(line, s.lookup))
			}
		})
	}
}

type script struct {
	t              *testing.T
	dir            string
	env            []string
	line           string
	stdout, stderr string
	launch         func(dir string) (daemon, error)
	daemon         daemon
	background     map[string]*process
}

type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
}

// unpack writes the archive's files and returns the text before them.
func (s *script) unpack(text string) string {
	marker := regexp.MustCompile(`(?m)^-- (\S+) --\n`)
	at := marker.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := filepath.Join(s.dir, text[m[2]:m[3]])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text[m[1]:end]), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	if len(at) > 0 {
		return text[:at[0][0]]
	}
	return text
}

// words splits a line: 'quoted words' stay whole, $NAME is replaced outside of them.
func words(line string, lookup func(string) string) []string {
	var out []string
	word, inWord, quoted := "", false, false
	flush := func() {
		if inWord {
			out = append(out, word)
		}
		word, inWord = "", false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\'' && i+1 < len(line) && line[i+1] == '\'':
			word += "'"
			i++
		case c == '\'':
			quoted, inWord = !quoted, true
		case quoted:
			word += line[i : i+1]
		case c == ' ' || c == '\t':
			flush()
		case c == '#' && !inWord:
			flush()
			return out
		case c == '$':
			n := len(regexp.MustCompile(`^\w+`).FindString(line[i+1:]))
			word, inWord = word+lookup(line[i+1:i+1+n]), true
			i += n
		default:
			word, inWord = word+line[i:i+1], true
		}
	}
	flush()
	return out
}

func (s *script) lookup(name string) string {
	for i := len(s.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(s.env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

func (s *script) do(args []string) {
	s.t.Helper()
	if len(args) == 0 {
		return
	}
	if args[0] == "[fake]" {
		if _, fake := s.daemon.(*fakeDaemon); !fake {
			return
		}
		args = args[1:]
	}
	not := args[0] == "!"
	if not {
		args = args[1:]
	}
	switch name, args := args[0], args[1:]; name {
	case "exec":
		if args[len(args)-1] == "&" {
			s.start(args[:len(args)-1])
			return
		}
		if code := s.exec(args); (code != 0) != not {
			s.fail("exit status %d", code)
		}
	case "code":
		if code := s.exec(args[1:]); strconv.Itoa(code) != args[0] {
			s.fail("exit status %d", code)
		}
	case "stdout", "stderr":
		text := map[string]string{"stdout": s.stdout, "stderr": s.stderr}[name]
		if regexp.MustCompile("(?m)"+args[0]).MatchString(text) == not {
			s.fail("no (or an unwanted) match")
		}
	case "cmp":
		text := map[string]string{"stdout": s.stdout, "stderr": s.stderr}[args[0]]
		want, err := os.ReadFile(filepath.Join(s.dir, args[1]))
		if err != nil || text != string(want) {
			s.fail("differs from %s (%v):\n%s", args[1], err, want)
		}
	case "env":
		s.env = append(s.env, args...)
	case "wait":
		s.wait()
	case "kill":
		for _, p := range s.background {
			p.cmd.Process.Kill()
		}
	case "daemon":
		s.control(args)
	default:
		s.fail("the runner does not know %s", name)
	}
}

func (s *script) command(args []string) *process {
	path := args[0]
	for _, dir := range filepath.SplitList(s.lookup("PATH")) {
		if found, err := exec.LookPath(filepath.Join(dir, args[0])); err == nil {
			path = found
			break
		}
	}
	p := &process{cmd: exec.Command(path, args[1:]...)}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.env, s.dir, &p.out, &p.err
	p.cmd.Args[0] = args[0]
	return p
}

func (s *script) exec(args []string) int {
	p := s.command(args)
	err := p.cmd.Run()
	s.stdout, s.stderr = p.out.String(), p.err.String()
	if p.cmd.ProcessState == nil {
		s.fail("%v", err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (s *script) start(args []string) {
	p := s.command(args)
	if err := p.cmd.Start(); err != nil {
		s.fail("%v", err)
	}
	s.background[strconv.Itoa(p.cmd.Process.Pid)] = p
}

// wait ends the background commands and keeps what they wrote.
func (s *script) wait() {
	s.stdout, s.stderr = "", ""
	for pid, p := range s.background {
		p.cmd.Wait()
		s.stdout += p.out.String()
		s.stderr += p.err.String()
		delete(s.background, pid)
	}
}

func (s *script) control(args []string) {
	what := strings.Join(args, " ")
	if what != "" && s.daemon == nil {
		s.fail("no daemon runs")
	}
	switch what {
	case "":
		d, err := s.launch(s.dir)
		if err != nil {
			s.fail("%v", err)
		}
		s.daemon = d
	case "stop":
		s.daemon.stop()
		s.daemon = nil
	default:
		s.daemon.set(what)
	}
}

func (s *script) end() {
	for _, p := range s.background {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
	if s.daemon != nil {
		s.daemon.stop()
	}
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%s\nstdout:\n%sstderr:\n%s", s.line, fmt.Sprintf(format, args...), s.stdout, s.stderr)
}
