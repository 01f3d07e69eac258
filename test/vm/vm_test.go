// Package vm_test shows hotsvc with real drivers in a virtual machine.
// scripts/test-vm builds the machine and runs this; scenarios/ is what it does.
package vm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "drive" && len(os.Args) == 4 && os.Args[1] == "radio" {
		os.Exit(guest(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func scenarios(t *testing.T, glob string) []scenario {
	files, err := filepath.Glob("scenarios/" + glob + ".txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario %q: %v", glob, err)
	}
	var all []scenario
	for _, file := range files {
		s, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestScenariosAreWellFormed needs no machine.
func TestScenariosAreWellFormed(t *testing.T) {
	for _, s := range scenarios(t, "*") {
		if s.title == "" || len(s.lines) == 0 {
			t.Errorf("%s says nothing", s.file)
		}
	}
}

func TestVM(t *testing.T) {
	if os.Getenv("VM_KERNEL") == "" {
		t.Skip("make test-vm runs it")
	}
	glob := os.Getenv("SCENARIO")
	if glob == "" {
		glob = "*"
	}
	begin := time.Now()
	fmt.Printf("kernel %s, %s\n", os.Getenv("VM_VERSION"), accel())
	passed, failed := 0, 0
	for _, s := range scenarios(t, glob) {
		start := time.Now()
		fmt.Printf("\n%s: %s\n", filepath.Base(s.file), s.title)
		if err := s.play(t.TempDir()); err != nil {
			failed++
			fmt.Printf("FAILED after %.1f s: %v\n", time.Since(start).Seconds(), err)
			continue
		}
		passed++
		fmt.Printf("passed in %.1f s\n", time.Since(start).Seconds())
	}
	fmt.Printf("\n%d passed, %d failed, in %.0f s\n", passed, failed, time.Since(begin).Seconds())
	if failed > 0 {
		t.Fail()
	}
}
