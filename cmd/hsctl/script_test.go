package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hotsvc/internal/livetest"
)

// The transcripts in testdata are testscript's; two commands are their own:
//
//	daemon [deaf|stop]    the daemon that hsctl asks
//	code N CMD…           like exec, with that exit status
//
// They run before the real engine with make-believe processes, and before
// hotsvc itself; those in testdata/real before hotsvc alone, for real processes.

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"hsctl": main}) }

// daemon is what a transcript's daemon command starts.
type daemon interface {
	deafen() // it takes what it is told and does not answer; stopped then, it crashes
	stop()
}

func TestTranscripts(t *testing.T) { transcripts(t, "testdata", startCore) }

func TestTranscriptsOnDaemon(t *testing.T) {
	const path = "HSCTL_TEST_DAEMON" // tells the run in the namespaces what the one outside has built
	if os.Getenv(path) == "" {
		bin := filepath.Join(t.TempDir(), "hotsvc")
		if out, err := exec.Command("go", "build", "-o", bin, "../hotsvc").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Setenv(path, bin)
	}
	livetest.Namespace(t, func(t *testing.T) {
		start := func(dir string) (daemon, error) { return startReal(os.Getenv(path), dir) }
		transcripts(t, "testdata", start)
		transcripts(t, "testdata/real", start)
	})
}

func transcripts(t *testing.T, scripts string, start func(dir string) (daemon, error)) {
	testscript.Run(t, testscript.Params{
		Dir: scripts,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOTSVC_SOCKET", e.WorkDir+"/control")
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			running := new(daemon)
			e.Values["daemon"] = running
			e.Defer(func() {
				if *running != nil {
					(*running).stop()
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				code := 0
				err := ts.Exec(args[1], args[2:]...)
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					code = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if strconv.Itoa(code) != args[0] {
					ts.Fatalf("exit status %d", code)
				}
			},
			"waitfor": func(ts *testscript.TestScript, _ bool, args []string) {
				for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
					text, err := os.ReadFile(ts.MkAbs(args[0]))
					if err == nil && len(text) > 0 && (len(args) < 2 || strings.Contains(string(text), args[1])) {
						return
					}
					if time.Since(begin) > 10*time.Second {
						ts.Fatalf("%s does not come", args[0])
					}
				}
			},
			"daemon": func(ts *testscript.TestScript, _ bool, args []string) {
				running := ts.Value("daemon").(*daemon)
				switch {
				case len(args) == 0:
					d, err := start(ts.MkAbs("."))
					ts.Check(err)
					*running = d
				case args[0] == "deaf":
					(*running).deafen()
				case args[0] == "stop":
					(*running).stop()
					*running = nil
				default:
					ts.Fatalf("daemon %s: what is that?", args[0])
				}
			},
		},
	})
}
