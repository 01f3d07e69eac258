package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answerEnv says what this program answers to --check-state.
const answerEnv = "HOTSVC_TEST_ANSWER"

func TestMain(m *testing.M) {
	switch os.Getenv(answerEnv) {
	case "":
		os.Exit(m.Run())
	case "fit":
		fmt.Println(fitLine)
	case "more": // a later version may have more to say
		fmt.Println(fitLine + "\nin 2 ms")
	case "other":
		fmt.Println("not that " + fitLine)
	case "unfit":
		fmt.Println(fitLine)
		os.Exit(exitProblem)
	case "reasons":
		fmt.Fprintln(os.Stderr, "one\ntwo\x1b[2J")
		os.Exit(exitProblem)
	case "never":
		time.Sleep(time.Minute)
	case "daemon": // leaves a process behind, and with it our pipes
		child := exec.Command("sleep", "1000")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if child.Start() == nil {
			fmt.Fprintln(os.Stderr, child.Process.Pid)
		}
	}
}

func TestOnlyWhatAnswersAsHotsvcGoesOn(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const foreign = " does not answer --check-state as hotsvc does: name a hotsvc"
	for answer, want := range map[string]string{
		"fit": "", "more": "", "silent": foreign, "other": foreign, "unfit": foreign, "reasons": " says: one; two?[2J",
	} {
		t.Setenv(answerEnv, answer)
		got := ""
		if next, err := examine(t.Context(), own); err != nil {
			got, _ = strings.CutPrefix(err.Error(), "upgrade refused: "+own)
		} else {
			next.file.Close()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
}

// What goes to the background and keeps our pipes does not keep who asked.
func TestUpgradeDoesNotWaitForWhatIsLeftBehind(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(answerEnv, "daemon")
	_, err = examine(t.Context(), own)
	var pid int
	if _, scan := fmt.Sscanf(fmt.Sprint(err), "upgrade refused: "+own+" says: %d", &pid); scan != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

// The daemon ends while it asks: that is not the new program's fault.
func TestUpgradeThatIsOvertakenByTheEndSaysSo(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Setenv(answerEnv, "never")
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err = examine(ctx, own); err == nil || err.Error() != "upgrade refused: the daemon is going already: ask the next one" {
		t.Error(err)
	}
}

// TestSignalsDuringAnUpgradeReachTheNextImage: there was nobody to heed them
// between the decision and the exec, which may be seconds.
func TestSignalsDuringAnUpgradeReachTheNextImage(t *testing.T) {
	came := make(chan os.Signal, 4)
	came <- syscall.SIGHUP
	came <- syscall.SIGTERM
	env, err := bequeath(nil, came)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{inheritEnv, signalsEnv} {
		t.Setenv(name, "") // and back to what it was, after the test
	}
	for _, word := range env {
		name, value, _ := strings.Cut(word, "=")
		os.Setenv(name, value)
	}
	if got := inheritedSignals(); !slices.Equal(got, []os.Signal{syscall.SIGHUP, syscall.SIGTERM}) {
		t.Errorf("the next image is told of %v", got)
	}
	if got := inheritedSignals(); got != nil {
		t.Errorf("the one after that, too: %v", got)
	}
}
