package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

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
