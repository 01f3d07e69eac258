package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
	"hotsvc/internal/svlog"
)

func TestExecErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain", "hello\n", 0o644)
	noInterpreter := write("nointerp", "#!/nonexistent/sh\n", 0o755)
	garbage := write("garbage", "\x7fELFno", 0o755)
	env := write("env", "A=1\nno equals sign, but a secret\n", 0o600)
	for name, test := range map[string]struct {
		change func(*service.Spawn)
		want   string
	}{
		"not in PATH":    {func(s *service.Spawn) { s.Argv = []string{"udhcpc-none"}; s.Env = []string{"PATH=/usr/bin:/bin"} }, "exec_start: udhcpc-none: not in PATH: install it or give the full path"},
		"no such file":   {func(s *service.Spawn) { s.Argv = []string{"/nonexistent/x"} }, "exec_start: /nonexistent/x: no such file or directory: install it or correct the path"},
		"file as dir":    {func(s *service.Spawn) { s.Argv = []string{plain + "/x"} }, "exec_start: " + plain + "/x: not a directory: install it or correct the path"},
		"not executable": {func(s *service.Spawn) { s.Argv = []string{plain} }, "exec_start: " + plain + ": not executable: permission denied: chmod +x, or name another program"},
		"directory":      {func(s *service.Spawn) { s.Argv = []string{dir} }, "exec_start: " + dir + ": is a directory: permission denied: chmod +x, or name another program"},
		"interpreter":    {func(s *service.Spawn) { s.Argv = []string{noInterpreter} }, "exec_start: " + noInterpreter + ": its interpreter (#! line) or dynamic loader does not exist: install that"},
		"no program":     {func(s *service.Spawn) { s.Argv = []string{garbage} }, "exec_start: " + garbage + ": neither a program for this machine nor a script with a #! line"},
		"cwd":            {func(s *service.Spawn) { s.Cwd = "/nonexistent" }, "cwd: /nonexistent: no such file or directory: make it, or change cwd"},
		"user":           {func(s *service.Spawn) { s.User = "nobody-here" }, "user: nobody-here: no such user: add it (useradd --system nobody-here) or change user"},
		"group":          {func(s *service.Spawn) { s.Group = "nobody-here" }, "group: nobody-here: no such group: add it (groupadd --system nobody-here) or change group"},
		"groups":         {func(s *service.Spawn) { s.Groups = []string{"nobody-here"} }, "groups: nobody-here: no such group: add it (groupadd --system nobody-here) or change groups"},
		"env_file":       {func(s *service.Spawn) { s.EnvFile = []string{"/nonexistent/env"} }, "env_file: /nonexistent/env: no such file or directory"},
		"env_file line":  {func(s *service.Spawn) { s.EnvFile = []string{env} }, "env_file: " + env + ":2: not NAME=value"},
		"empty":          {func(s *service.Spawn) { s.Argv = nil }, "exec_start: no command"},
		"pre":            {func(s *service.Spawn) { s.Command = service.CommandPre; s.Argv = []string{"/nonexistent/x"} }, "exec_start_pre: /nonexistent/x: no such file or directory: install it or correct the path"},
	} {
		t.Run(name, func(t *testing.T) {
			inBothWorlds(t, func(t *testing.T, w *world) {
				s := spawnOf("a", 1, "true")
				test.change(s)
				w.spawnIt(s)
				e := w.event("a", 1, service.SpawnError)
				if e.Error != test.want || !e.NoExec {
					t.Errorf("no_exec %v, error\n%q, want\n%q", e.NoExec, e.Error, test.want)
				}
				w.forgotten("a")
			})
		})
	}
}

// output runs a shell line to its end and returns what it printed.
func (w *world) output(name string, change func(*service.Spawn), line string) string {
	w.t.Helper()
	s := spawnOf(name, 1, "sh", "-c", line)
	change(s)
	w.spawnIt(s)
	if e := w.event(name, 1, service.Exited); !e.Exit.OK() {
		w.t.Errorf("%s: %v", name, e.Exit)
	}
	w.carried(name)
	return w.logged(name)
}

// carried waits until all that a service said is in its log, and nobody has its
// FIFO open.
func (w *world) carried(name string) {
	w.t.Helper()
	eventually(w.t, name+"'s output is in its log", func() bool {
		_, err := os.Stat(w.host.outputs.path(name, "fifo"))
		return errors.Is(err, os.ErrNotExist)
	})
}

// logged is what is in the log of a service, without the stamps.
func (w *world) logged(name string) string {
	w.t.Helper()
	r, err := svlog.OpenReader(filepath.Join(w.run, "log", service.FileName(name)), svlog.ReadOptions{Last: -1})
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	var text strings.Builder
	for {
		line, err := r.Next(w.t.Context())
		if err != nil {
			return text.String()
		}
		_, rest, ok := svlog.ParseStamp(line)
		if !ok {
			w.t.Errorf("no stamp: %q", line)
		}
		text.Write(append(rest, '\n'))
	}
}

func TestSurroundings(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w *world) {
		secret := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(secret, []byte("# a comment\n\nTOKEN=s3cret=x\n B=\"two words\" \nLANG=C\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := w.output("a", func(s *service.Spawn) {
			s.Env = append(s.Env, "LANG=POSIX")
			s.EnvFile = []string{secret}
		}, `echo "$TOKEN|$B|$LANG"; pwd; umask; readlink /proc/self/fd/0; ps -o sid= -p $$ | tr -d ' ' | grep -qx $$ && echo session; grep Sig[BI] /proc/self/status`)
		for _, want := range []string{"s3cret=x|two words|C\n", "/\n", "0022\n", "/dev/null\n", "session\n", "SigBlk:\t0000000000000000\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	})
}

func TestNoDescriptorIsInherited(t *testing.T) {
	// What the daemon's own starter left open must not get to services either.
	leak, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	inBothWorlds(t, func(t *testing.T, w *world) {
		other := w.up("other", 1, "sleep", "1000")
		got := strings.Fields(w.output("a", func(*service.Spawn) {}, "ls /proc/$$/fd"))
		want := []string{"0", "1", "2"}
		if _, ok := w.host.trees.(*sessions); ok {
			want = append(want, fmt.Sprint(markFD))
		}
		got = slices.DeleteFunc(got, func(fd string) bool { return fd == "10" || fd == "255" }) // the shell's own
		if !slices.Equal(got, want) {
			t.Errorf("descriptors %v, want %v", got, want)
		}
		if !alive(other) {
			t.Error("the other one is gone")
		}
	})
}

func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	inBothWorlds(t, func(t *testing.T, w *world) {
		const show = `umask; ulimit -n; ulimit -c; ulimit -H -n; cut -d' ' -f19 /proc/$$/stat; grep -E '^(NoNewPrivs|Cap(Bnd|Amb|Eff))' /proc/$$/status`
		got := w.output("a", func(s *service.Spawn) {
			s.Umask, s.Nice, s.NoNewPrivs = 0o027, 5, true
			s.Limits = []service.Limit{{Name: "nofile", Soft: 100, Hard: 200}, {Name: "core", Soft: 0, Hard: 0}}
			s.Caps = []string{"CAP_NET_ADMIN", "CAP_NET_RAW"}
		}, show)
		const caps = "0000000000003000\n"
		want := "0027\n100\n0\n200\n5\nCapEff:\t" + caps + "CapBnd:\t" + caps + "CapAmb:\t" + caps + "NoNewPrivs:\t1\n"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		plain := w.output("b", func(*service.Spawn) {}, show)
		for _, foreign := range []string{"0027", "\n5\n", caps, "NoNewPrivs:\t1"} {
			if strings.Contains(plain, foreign) {
				t.Errorf("an ordinary service has %q of another's:\n%s", foreign, plain)
			}
		}
	})
}

func TestUserAndGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if inUserNamespace() {
		t.Skip("in a user namespace only one user is mapped")
	}
	inBothWorlds(t, func(t *testing.T, w *world) {
		got := w.output("a", func(s *service.Spawn) {
			s.User, s.Groups, s.Caps = "nobody", []string{"daemon", "0"}, []string{"CAP_NET_ADMIN"}
		}, "id -u; id -g; id -G; grep CapEff /proc/self/status")
		lines := strings.Split(got, "\n")
		if lines[0] != "65534" || lines[1] != "65534" || !strings.HasPrefix(lines[2], "65534 0 1") && !strings.HasPrefix(lines[2], "65534 1 0") {
			t.Errorf("got\n%s", got)
		}
		if !strings.Contains(got, "CapEff:\t0000000000001000") {
			t.Errorf("ambient capability is missing:\n%s", got)
		}
		if got := w.output("b", func(s *service.Spawn) { s.Group = "daemon" }, "id -u; id -g; id -G"); got != "0\n1\n1\n" {
			t.Errorf("got\n%s", got)
		}
	})
}

func inUserNamespace() bool {
	text, _ := os.ReadFile("/proc/self/uid_map")
	return !strings.HasSuffix(strings.TrimSpace(string(text)), "4294967295")
}

func TestForbiddenPrivilegeIsAnError(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	s := spawnOf("a", 1, "true")
	s.Limits = []service.Limit{{Name: "nofile", Soft: ^uint64(0), Hard: ^uint64(0)}} // above fs.nr_open
	w.spawnIt(s)
	e := w.event("a", 1, service.SpawnError)
	if !e.NoExec || !strings.HasPrefix(e.Error, "limits: nofile: operation not permitted") {
		t.Errorf("%+v", e)
	}
	if strings.Contains(e.Error, "\n") {
		t.Error("more than one line")
	}
}

// A log that cannot be written must not keep a service down.
func TestNoLogDir(t *testing.T) {
	run := t.TempDir()
	if err := os.WriteFile(filepath.Join(run, "log"), nil, 0o600); err != nil { // a file where the directory is to be
		t.Fatal(err)
	}
	w := newWorld(t, "none", run)
	w.spawn("a", 1, "sh", "-c", "echo hello")
	if e := w.event("a", 1, service.Exited); !e.Exit.OK() {
		t.Error(e.Exit)
	}
	eventually(t, "it is told", func() bool {
		return strings.Contains(strings.Join(w.Degraded(), "\n"), "output of services was lost 1 times, last: log directory "+run+"/log/a: ")
	})
}

func TestLogNone(t *testing.T) {
	w := newWorld(t, "none", t.TempDir())
	s := spawnOf("a", 1, "sh", "-c", "readlink /proc/$$/fd/2 | grep -qx /dev/null")
	s.Log = "none"
	w.spawnIt(s)
	if e := w.event("a", 1, service.Exited); !e.Exit.OK() {
		t.Error("its output goes somewhere")
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	run := t.TempDir()
	env := filepath.Join(run, "env")
	if err := os.WriteFile(env, []byte("TOKEN=s3cret\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "none", run)
	w.Supervisor.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := spawnOf("a", 1, "true")
	s.EnvFile = []string{env}
	w.spawnIt(s)
	e := w.event("a", 1, service.SpawnError)
	if all := log.String() + e.Error; strings.Contains(all, "s3cret") || strings.Contains(all, "hunter2") {
		t.Error(all)
	}
}

func TestLimitsHoldFromTheFirstInstruction(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: limits come a moment late")
	}
	w := newWorld(t, "none", t.TempDir())
	for n := range int64(50) {
		s := spawnOf("a", n+1, "sh", "-c", "test $(ulimit -n) = 64")
		s.Limits = []service.Limit{{Name: "nofile", Soft: 64, Hard: 64}}
		w.spawnIt(s)
		if e := w.event("a", n+1, service.Exited); !e.Exit.OK() {
			t.Fatalf("start %d: %v", n+1, e.Exit)
		}
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Max == 64 {
		t.Error("our own limit changed")
	}
}
