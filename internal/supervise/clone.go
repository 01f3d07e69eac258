package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
	"hotsvc/internal/trust"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// failure is a SpawnFailure about a key of the definition. What a person has to
// mend is not tried again; what the system may get over is.
func failure(key string, err error, format string, args ...any) *SpawnFailure {
	for _, permanent := range []error{
		fs.ErrNotExist, fs.ErrPermission, unix.ENOEXEC, unix.ENOTDIR, unix.EINVAL, unix.ELOOP, unix.ENAMETOOLONG, unix.E2BIG,
	} {
		if errors.Is(err, permanent) {
			return &SpawnFailure{Text: key + ": " + fmt.Sprintf(format, args...), NoExec: true}
		}
	}
	return &SpawnFailure{Text: key + ": " + fmt.Sprintf(format, args...)}
}

// Clone looks everything up that the program needs, then forks. What can fail
// is done before the fork, where there are words for it.
func (k *linux) Clone(t Tree, p Program) (Process, error) {
	env, err := environment(p)
	if err != nil {
		return nil, err
	}
	if p.Command == service.CommandMain && p.Ready == service.ReadyNotify && k.notify != nil {
		env = append(env, "NOTIFY_SOCKET="+k.notify.address)
	}
	dir := p.Cwd
	if dir == "" {
		dir = "/"
	}
	if p.CopyOf != "" && (p.Command == service.CommandMain || p.Command == service.CommandPre) {
		if err := copyDir(p.CopyOf, dir); err != nil {
			return nil, failure("cwd", err, "%s cannot be copied to %s: %v", p.CopyOf, dir, err)
		}
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, failure("cwd", err, "%s: %v: make it, or change cwd", dir, bare(err))
	} else if !st.IsDir() {
		return nil, failure("cwd", unix.ENOTDIR, "%s: not a directory", dir)
	}
	path, err := lookup(p, env, dir)
	if err != nil {
		return nil, err
	}
	priv, err := privilegesOf(p.Spawn)
	if err != nil {
		return nil, err
	}

	in, err := k.input(p)
	if err != nil {
		return nil, err
	}
	out := k.output(p)
	defer func() {
		for _, f := range []*os.File{in, out} {
			if f != k.null {
				f.Close()
			}
		}
	}()
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []uintptr{in.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd, Credential: priv.credential, AmbientCaps: priv.ambient},
	}
	if len(priv.limits) > 0 {
		if err := writeFile(k.note(t), []byte(p.Command.String()+" "+unlimited+"\n")); err != nil {
			return nil, failure("limits", err, "%v", err)
		}
	}
	ready, err := k.readiness(t, p, attr)
	if err != nil {
		return nil, err
	}
	entered, err := k.trees.enter(t, attr)
	if err != nil {
		closeAll(ready)
		return nil, &SpawnFailure{Text: p.Key + ": " + err.Error()}
	}
	pid, ended, err := priv.forkExec(path, p.Argv, attr)
	if len(ready) > 0 {
		ready[1].Close() // the child's end
		ready = ready[:1]
	}
	if err != nil {
		entered(nil)
		closeAll(ready)
		var f *SpawnFailure
		if errors.As(err, &f) {
			return nil, f
		}
		return nil, execFailure(p, path, err)
	}
	var st stat
	if ended == nil {
		st, _ = readStat(pid) // a child stays until it is waited for
	}
	child, err := newProcess(pid, pidfd)
	if err != nil {
		entered(nil)
		closeAll(ready)
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, nil, 0, nil)
		return nil, &SpawnFailure{Text: fmt.Sprintf("%s: pidfd: %v", p.Key, err)}
	}
	child.started, child.ended = st.started, ended
	if len(ready) > 0 {
		child.ready = ready[0]
	}
	entered(child)
	return child, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// bare is an error without the operation and path that its text names already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// input opens what a program reads.
func (k *linux) input(p Program) (*os.File, error) {
	if p.Input == "" || p.Key != "exec_start" {
		return k.null, nil
	}
	f, err := k.outputs.reader(p.Input, p.Service)
	if err != nil {
		return nil, failure("input", err, "the output of %s: %v", p.Input, err)
	}
	return f, nil
}

// output opens where a program's output goes. A log that cannot be written must
// not keep a service down.
func (k *linux) output(p Program) *os.File {
	if p.Log == "none" || p.Quiet {
		return k.null
	}
	f, err := k.outputs.writer(p.Service, destinationOf(p.Log, p.LogFile))
	if err != nil {
		k.outputs.LostOutput(p.Service, err)
		return k.null
	}
	return f
}

// readiness makes the FIFO of a service that says READY on a descriptor. The
// child has both ends open, so that it never sees a broken pipe, and the name
// stays, so that a next daemon can listen on.
func (k *linux) readiness(t Tree, p Program, attr *syscall.ProcAttr) ([]*os.File, error) {
	if p.Command != service.CommandMain || p.Ready != service.ReadyFD || p.Key != "exec_start" {
		return nil, nil
	}
	path := k.fifo(t)
	os.Remove(path)
	fail := func(err error) ([]*os.File, error) {
		return nil, &SpawnFailure{Text: fmt.Sprintf("ready: fifo %s: %v", path, bare(err))}
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return fail(err)
	}
	read, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) // not through os: it must block
	if err != nil {
		read.Close()
		return fail(err)
	}
	for len(attr.Files) <= p.ReadyFD {
		attr.Files = append(attr.Files, ^uintptr(0))
	}
	attr.Files[p.ReadyFD] = uintptr(fd)
	return []*os.File{read, os.NewFile(uintptr(fd), path)}, nil
}

// environment is the spawn's with what its files say; the last word counts.
// Values are secrets: no message shows one.
func environment(p Program) ([]string, error) {
	env := slices.Clone(p.Env)
	for _, path := range p.EnvFile {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, failure("env_file", err, "%s: %v", path, bare(err))
		}
		if why := trust.New().File(path); why != nil {
			return nil, failure("env_file", fs.ErrPermission, "%v", why)
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, ok := strings.Cut(line, "=")
			if !ok || name == "" || strings.ContainsAny(name, " \t\x00") || strings.Contains(value, "\x00") {
				return nil, failure("env_file", unix.EINVAL, "%s:%d: not NAME=value", path, number)
			}
			if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
				value = value[1 : n-1]
			}
			env = append(env, name+"="+value)
		}
	}
	seen := make(map[string]int)
	out := env[:0]
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if at, ok := seen[name]; ok {
			out[at] = v
			continue
		}
		seen[name] = len(out)
		out = append(out, v)
	}
	return out, nil
}

// lookup finds the program in the service's own PATH.
func lookup(p Program, env []string, dir string) (string, error) {
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return "", failure(p.Key, unix.EINVAL, "no command")
	}
	name := p.Argv[0]
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if err := runnable(file); err != nil {
			return "", failure(p.Key, err, "%s: %v: %s", name, bare(err), remedy(err))
		}
		return file, nil
	}
	path := defaultPath
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	var blocked error
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue // "." and "" are how other people's programs get run
		}
		file := filepath.Join(d, name)
		err := runnable(file)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && blocked == nil {
			blocked = fmt.Errorf("%s: %w", file, bare(err))
		}
	}
	if blocked != nil {
		return "", failure(p.Key, blocked, "%v: %s", blocked, remedy(blocked))
	}
	return "", failure(p.Key, fs.ErrNotExist, "%s: not in PATH: install it or give the full path", name)
}

// runnable looks before the fork: a dead file server hangs this goroutine only,
// while a fork that hangs in exec holds up every other one.
func runnable(file string) error {
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("is a directory: %w", fs.ErrPermission)
	case st.Mode()&0o111 == 0:
		return fmt.Errorf("not executable: %w", fs.ErrPermission)
	}
	return nil
}

func remedy(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "chmod +x, or name another program"
	}
	return "install it or correct the path"
}

// execFailure puts what the fork or the exec said in words.
func execFailure(p Program, path string, err error) *SpawnFailure {
	user := p.User
	if user == "" {
		user = "the daemon"
	}
	switch err {
	case unix.ENOENT: // it was there a moment ago
		return failure(p.Key, err, "%s: its interpreter (#! line) or dynamic loader does not exist: install that", path)
	case unix.ENOEXEC:
		return failure(p.Key, err, "%s: neither a program for this machine nor a script with a #! line", path)
	case unix.EACCES:
		return failure(p.Key, err, "%s: %s may not execute it, or not enter cwd: check modes and noexec mounts", path, user)
	case unix.EPERM, unix.EINVAL:
		return failure(p.Key, err, "%s: %v as user %s: is the daemon allowed to change users, and is the user mapped here?", path, err, user)
	}
	return failure(p.Key, err, "%s: %v", path, err)
}
