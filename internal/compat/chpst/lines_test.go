package chpst

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// outcome is what a line has led to, but for what differs from run to run.
type outcome struct {
	status int
	out    string
	err    bool // it has said something on standard error
}

// run has a shell run a line in a new directory with what the lines name.
func (p place) run(t *testing.T, side, who, line string) outcome {
	t.Helper()
	p.furnish(t)
	cmd, out, stderr := p.command(side, who, line)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	text := strings.ReplaceAll(out.String(), filepath.Join(p.dir, side), "SIDE")
	return outcome{cmd.ProcessState.ExitCode(), normal(text), stderr.Len() > 0}
}

// command is a line in a shell, and what it will print.
func (p place) command(side, who, line string) (cmd *exec.Cmd, out, stderr *bytes.Buffer) {
	line = regexp.MustCompile(`\bsee\b`).ReplaceAllString(line, "cat /proc/self/status /proc/self/limits /proc/self/stat /proc/self/environ")
	line = regexp.MustCompile(`\bfds\b`).ReplaceAllString(line, "ls /proc/self/fd")
	cmd = exec.Command("/bin/sh", "-c", line)
	cmd.Dir = filepath.Join(p.dir, "here")
	cmd.Env = []string{
		"PATH=" + filepath.Join(p.dir, side) + ":" + filepath.Join(p.dir, "tools") + ":/usr/bin:/bin",
		"A=0", "B=1", "Q=2", "USER=daemon", "HOME=/", "GORACE=atexit_sleep_ms=0",
	}
	out, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, stderr
	cmd.SysProcAttr = as(who)
	return cmd, out, stderr
}

// as makes a process somebody's.
func as(who string) *syscall.SysProcAttr {
	switch {
	case who == "nobody" && os.Getuid() == 0:
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	case who == "ns":
		return &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}},
		}
	}
	return nil
}

// furnish makes the directory that a line runs in.
func (p place) furnish(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, "here")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"e/A": "v1 \t\nrest", "e/B": "", "e/C": "\n", "e/D": "a\x00b", "e/.dot": "x", "e/x=y": "z",
		"dirs/Z": "1", "dirs/sub/W": "2", "file": "hello", "path/PATH": p.dir + "/here/p",
		"unset/A": "1", "unset/B": "", "unset/C": "\n", "root/where": "in the root\n",
	} {
		p.make(t, "here/"+name, text, 0o644)
	}
	for name, text := range map[string]string{
		"p/only-in-p": "#!/bin/sh\necho only in p\n", "p/broken": "hello\n", "q/broken": "#!/bin/sh\necho q\n",
		"p/noloader": "#!/nosuch/loader\n", "q/noloader": "#!/bin/sh\necho q\n", "q/notmine": "#!/bin/sh\necho q\n",
	} {
		p.make(t, "here/"+name, text, 0o755)
	}
	p.make(t, "here/p/notmine", "#!/bin/sh\n", 0o644)
	p.make(t, "here/secret/S", "x", 0o600)
	for _, applet := range []string{"cat", "pwd"} {
		p.make(t, "here/root/bin", "", 0)
		if err := os.Link(filepath.Join(p.dir, "tools/busybox"), filepath.Join(p.dir, "here/root/bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"here", "here/root"} {
		if err := os.Chmod(filepath.Join(p.dir, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	statLine = regexp.MustCompile(`(?m)^\d+ \(.*\) .*\n`)
	fdList   = regexp.MustCompile(`^(\d+\n)+$`)
	kept     = regexp.MustCompile(`^(Uid|Gid|Groups|Sig(Blk|Ign)|Umask|Cap\w+|NoNewPrivs|Max .*?)[: ]`)
)

// normal leaves of what is printed what a program could have changed.
func normal(out string) string {
	var lines []string
	if fdList.MatchString(out) {
		others := 0
		for fd := range strings.FieldsSeq(out) {
			if slices.Contains([]string{"0", "1", "2", "7", "9"}, fd) {
				lines = append(lines, "open: "+fd)
			} else {
				others++
			}
		}
		slices.Sort(lines)
		return fmt.Sprintf("%s\nand %d others", strings.Join(lines, "\n"), others)
	}
	stat := statLine.FindString(out)
	if stat == "" {
		return out
	}
	head, environ, _ := strings.Cut(out, stat)
	for line := range strings.Lines(head) {
		if kept.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	pid, rest, _ := strings.Cut(stat, " ")
	f := strings.Fields(rest[strings.LastIndex(rest, ")")+1:])
	lines = append(lines, fmt.Sprintf("leads group %v, session %v; nice %s", f[2] == pid, f[3] == pid, f[16]))
	vars := strings.Split(environ, "\x00")
	slices.Sort(vars)
	return strings.Join(append(lines, vars...), "\n")
}

// TestLinesLeadToTheSameAsInRunit: what a program sees that chpst or one of its
// aliases has run, and how it ends where there is nothing to run.
func TestLinesLeadToTheSameAsInRunit(t *testing.T) {
	runit, err := fetch()
	if err != nil {
		t.Skipf("no runit here to compare with: %v", err)
	}
	p := newPlace(t)
	p.install(t, "theirs", filepath.Join(runit, "usr/bin/chpst"))
	text, err := os.ReadFile("testdata/lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	count, without := 0, 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		who, command, ok := strings.Cut(line, ": ")
		if !ok || line[0] == '#' {
			continue
		}
		if who == "root" && os.Getuid() != 0 {
			without++
			continue
		}
		count++
		t.Run(line, func(t *testing.T) {
			theirs := p.run(t, "theirs", who, command)
			ours := p.run(t, "ours", who, command)
			if ours != theirs {
				t.Errorf("runit: %+v\nours:  %+v", theirs, ours)
			}
		})
	}
	t.Logf("%d lines compared", count)
	if without > 0 {
		t.Logf("%d lines need root and were not run", without)
	}
}
