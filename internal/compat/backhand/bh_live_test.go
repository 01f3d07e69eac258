package backhand_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/compat/backhand"
	"hotsvc/internal/livetest"
	"hotsvc/internal/status"
)

func TestMain(m *testing.M) {
	os.Exit(livetest.Build(m, slices.Sorted(maps.Keys(backhand.Programs))))
}

// live is a story on a machine with a tree of backhand's in bh and a native one.
// The scripts note what they do in the file noted.
func live(t *testing.T, story func(m *livetest.Machine)) {
	livetest.Live(t, func(m *livetest.Machine) {
		for _, dir := range []string{"bh", "native"} {
			if err := os.Mkdir(m.Path(dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		m.Env = append(m.Env, "NOTED="+m.Path("noted"))
		story(m)
	})
}

func boot(m *livetest.Machine) {
	m.Helper()
	m.Boot(m.Path("native"), "backhand:"+m.Path("bh"))
}

// noting is a service that notes every script with its arguments, and then does
// what is given for the script.
func noting(m *livetest.Machine, name string, more map[string]string) {
	for _, script := range []string{"pre", "run", "post"} {
		do, special := more[script]
		if !special && script == "run" {
			do = "exec sleep 1000"
		}
		m.Script("bh/"+name+"/"+script, `echo "`+name+` `+script+` $# $1" >> "$NOTED"`+"\n"+do)
	}
}

func noted(m *livetest.Machine, want ...string) {
	m.Helper()
	if got := m.Lines("noted"); !slices.Equal(got, want) {
		m.Fatalf("the scripts noted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// quiet runs a command that must succeed and say nothing.
func quiet(m *livetest.Machine, name string, args ...string) {
	m.Helper()
	m.Says(0, "", "", name, args...)
}

// counts is how often each holder holds a service.
func counts(s status.Service) map[string]int {
	n := map[string]int{}
	for _, h := range s.Holds {
		n[h.Holder] += h.Count
	}
	return n
}

func heldBy(m *livetest.Machine, name string, want map[string]int) {
	m.Helper()
	if got := counts(m.Get(name)); !maps.Equal(got, want) {
		m.Fatalf("%s is held by %v, want %v", name, got, want)
	}
}

// TestWrongCalls: what the commands say of wrong names and arguments (BH-7).
func TestWrongCalls(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		for _, name := range []string{"bh-start", "bh-stop", "bh-status", "bh-require", "bh-release"} {
			m.Says(1, "", "usage: "+name+" <service>\n", name)
			m.Says(1, "", "usage: "+name+" <service>\n", name, "web", "web")
			m.Says(1, "", name+": no such service\n", name, "wbe")
			m.Says(1, "", name+": no such service\n", name, "wbe@x")
			m.Says(1, "", name+": no such service\n", name, "../web")
		}
		m.Quit()
		if r := m.Run("bh-start", "web"); r.Exit != 1 || !strings.HasPrefix(r.Err, "bh-start: no daemon on ") {
			t.Errorf("without a daemon: %+v", r)
		}
	})
}

// TestServiceDirIsHonoured: $SERVICE_DIR says which services may be named; without
// it any that hotsvc knows, of any dialect (BH-4).
func TestServiceDirIsHonoured(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		m.Script("other/web/run", "exec sleep 1000")
		m.File("native/sleeper.toml", `exec_start = ["sleep", "1000"]`, 0o644)
		boot(m)
		quiet(m, "bh-start", "sleeper")
		in := func(dir string, exit int, stderr string, name string, args ...string) {
			t.Helper()
			cmd := m.Command(name, args...)
			cmd.Env = append(cmd.Env, "SERVICE_DIR="+dir)
			if got, want := m.Finish(cmd), (livetest.Result{Err: stderr, Exit: exit}); got != want {
				t.Fatalf("in %s, %s %v: got %+v, want %+v", filepath.Base(dir), name, args, got, want)
			}
		}
		in(m.Path("other"), 1, "bh-start: no such service\n", "bh-start", "web")
		in(m.Path("bh"), 1, "bh-stop: no such service\n", "bh-stop", "sleeper")
		if err := os.Symlink("bh", m.Path("link")); err != nil {
			t.Fatal(err)
		}
		in(m.Path("link"), 0, "", "bh-start", "web")
		in(m.Path("link"), 0, "", "bh-require", "web@x")
		in(m.Path("other"), 0, "", "bh-stopall")
		m.Is("web", "up")
		in(m.Path("bh"), 0, "", "bh-stopall")
		m.Is("web", "down")
		m.Is("web@x", "down")
		m.Is("sleeper", "up")
	})
}

// TestStartAndStop: pre, run and post, once each, with the name as their argument;
// what is started already, or stopped already, is left alone (BH-5, BH-10, BH-11,
// BH-13, BH-20, BH-21, BH-23, BH-26).
func TestStartAndStop(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", nil)
		boot(m)
		m.Says(1, "", "bh-status: service runtime dir does not exist\n", "bh-status", "web")
		m.Says(1, "", "bh-stop: service runtime dir does not exist\n", "bh-stop", "web")
		m.Says(1, "", "bh-release: service runtime dir does not exist\n", "bh-release", "web")
		quiet(m, "bh-start", "web")
		m.Says(0, "started\n", "", "bh-status", "web")
		first := m.Main("web")
		m.Until("run has noted it", func() bool { return len(m.Lines("noted")) == 2 })
		quiet(m, "bh-start", "web")
		if again := m.Main("web"); again != first {
			t.Errorf("started anew: %d, then %d", first, again)
		}
		quiet(m, "bh-stop", "web")
		if livetest.Alive(first) {
			t.Error("bh-stop came back before the process was gone")
		}
		m.Says(0, "stopped\n", "", "bh-status", "web")
		quiet(m, "bh-stop", "web")
		noted(m, "web pre 1 web", "web run 1 web", "web post 1 web")
		quiet(m, "bh-start", "web")
		m.Until("run has noted it", func() bool { return len(m.Lines("noted")) == 5 })
		noted(m, "web pre 1 web", "web run 1 web", "web post 1 web", "web pre 1 web", "web run 1 web")
	})
}

// TestOutputIsLogged: what pre, run and post say goes to one log (BH-3).
func TestOutputIsLogged(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", map[string]string{
			"pre": "echo pre says", "run": "echo run says; exec sleep 1000", "post": "echo post says >&2"})
		boot(m)
		quiet(m, "bh-start", "web")
		said := func() string { return strings.Join(m.Get("web").LogTail, "\n") }
		m.Until("run has said it", func() bool { return strings.Contains(said(), "run says") })
		quiet(m, "bh-stop", "web")
		m.Until("post has said it", func() bool { return strings.Contains(said(), "post says") })
		pre, run, post := strings.Index(said(), "pre says"), strings.Index(said(), "run says"), strings.Index(said(), "post says")
		if pre < 0 || pre > run || run > post {
			t.Errorf("the log is\n%s", said())
		}
	})
}

// TestInstances: NAME@TARGET is cut at the first @, TARGET may be a path, and each
// instance is a service of its own (BH-5, BH-6).
func TestInstances(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "getty", map[string]string{"run": "exec sleep 1000"})
		boot(m)
		for _, target := range []string{"/dev/tty0", "a@b", "../x", "two words", "{brace}"} {
			os.Remove(m.Path("noted"))
			name := "getty@" + target
			quiet(m, "bh-start", name)
			m.Until("run has noted it", func() bool { return len(m.Lines("noted")) == 2 })
			m.Says(0, "started\n", "", "bh-status", name)
			quiet(m, "bh-stop", name)
			m.Says(0, "stopped\n", "", "bh-status", name)
			noted(m, "getty pre 1 "+target, "getty run 1 "+target, "getty post 1 "+target)
		}
		quiet(m, "bh-start", "getty@/dev/tty1")
		quiet(m, "bh-start", "getty@/dev/tty2")
		quiet(m, "bh-stop", "getty@/dev/tty1")
		m.Says(0, "started\n", "", "bh-status", "getty@/dev/tty2")
		m.Says(1, "", "bh-status: service runtime dir does not exist\n", "bh-status", "getty@/dev/tty3")
		quiet(m, "bh-stopall")
		m.Is("getty@/dev/tty2", "down")
	})
}

// TestPreThatFails: the start fails, nothing else is run, and the next start tries
// again (BH-11, BH-15). A require that fails leaves no count (W-BH-3).
func TestPreThatFails(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", map[string]string{"pre": "test -e " + m.Path("good")})
		boot(m)
		m.Says(1, "", "bh-start: pre failed\n", "bh-start", "web")
		m.Says(0, "failed\n", "", "bh-status", "web")
		noted(m, "web pre 1 web")
		quiet(m, "bh-stop", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		for range 2 { // the second is no silent success
			m.Says(1, "", "bh-require: pre failed\n", "bh-require", "web")
			heldBy(m, "web", nil)
		}
		quiet(m, "bh-release", "web")
		noted(m, "web pre 1 web", "web pre 1 web", "web pre 1 web")
		m.File("good", "", 0o644)
		quiet(m, "bh-start", "web")
		m.Says(0, "started\n", "", "bh-status", "web")
	})
}

// TestRunThatCannotBeExecuted fails the start (BH-12).
func TestRunThatCannotBeExecuted(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		m.File("bh/web/run", "#!/no/such/shell\n", 0o755)
		boot(m)
		m.Says(1, "", "bh-start: run failed\n", "bh-start", "web")
		m.Says(0, "failed\n", "", "bh-status", "web")
		m.Script("bh/web/run", "exec sleep 1000")
		quiet(m, "bh-start", "web")
	})
}

// TestWithoutRun: a service without run is started after its pre, and its stop is
// its post; a run that is not executable is none (BH-1, BH-14).
func TestWithoutRun(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "net", nil)
		if err := os.Chmod(m.Path("bh/net/run"), 0o644); err != nil {
			t.Fatal(err)
		}
		m.Script("bh/mute/post", "echo mute >> $NOTED")
		boot(m)
		quiet(m, "bh-start", "net")
		m.Says(0, "started\n", "", "bh-status", "net")
		noted(m, "net pre 1 net")
		quiet(m, "bh-stop", "net")
		m.Says(0, "stopped\n", "", "bh-status", "net")
		noted(m, "net pre 1 net", "net post 1 net")
		quiet(m, "bh-require", "mute")
		quiet(m, "bh-release", "mute")
		noted(m, "net pre 1 net", "net post 1 net", "mute")
	})
}

// TestPostThatFails: the stop fails, and the next stop runs post again (BH-23; not
// W-BH-9).
func TestPostThatFails(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", map[string]string{"post": "test -e " + m.Path("good")})
		boot(m)
		quiet(m, "bh-start", "web")
		m.Says(1, "", "bh-stop: post failed\n", "bh-stop", "web")
		m.Says(0, "failed\n", "", "bh-status", "web")
		m.Says(1, "", "bh-stop: post failed\n", "bh-stop", "web")
		m.File("good", "", 0o644)
		quiet(m, "bh-stop", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		os.Remove(m.Path("good"))
		quiet(m, "bh-require", "web")
		m.Says(1, "", "bh-release: post failed\n", "bh-release", "web")
		m.Says(0, "failed\n", "", "bh-status", "web")
		heldBy(m, "web", nil)
		quiet(m, "bh-release", "web") // nothing is held, so nothing is done
	})
}

// TestCrashIsNoStop: what crashed is started still, its post is not run, bh-start
// does not wait for the ten seconds (BH-10, BH-45), and a stop meanwhile is at
// once and starts nothing (not W-BH-4).
func TestCrashIsNoStop(t *testing.T) {
	live(t, func(m *livetest.Machine) {
		noting(m, "web", map[string]string{"run": "exit 3"})
		boot(m)
		quiet(m, "bh-start", "web")
		m.Is("web", "backoff")
		m.Says(0, "started\n", "", "bh-status", "web")
		quiet(m, "bh-start", "web")
		m.Is("web", "backoff")
		quiet(m, "bh-stop", "web")
		m.Says(0, "stopped\n", "", "bh-status", "web")
		if got := m.Lines("noted"); !slices.Equal(got[:2], []string{"web pre 1 web", "web run 1 web"}) || slices.Contains(got[2:], "web run 1 web") {
			t.Errorf("the scripts noted %q", got)
		}
	})
}
