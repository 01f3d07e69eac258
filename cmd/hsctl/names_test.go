package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestInstallMakesTheNames: with COMPAT=1, and only then, make install links
// every name that hsctl answers to, in a directory of its own.
func TestInstallMakesTheNames(t *testing.T) {
	root := t.TempDir()
	bin := filepath.Join(root, "made")
	for _, name := range []string{"hotsvc", "hsctl"} { // stand in for what make builds
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	install := func(more ...string) {
		cmd := exec.Command("make", append([]string{"-s", "-C", "../..", "-o", "build", "install", "DESTDIR=" + root, "BIN=" + bin}, more...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	dir := filepath.Join(root, "usr/local/lib/hotsvc/compat")
	install()
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("they are made unasked")
	}
	install("COMPAT=1")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var made, want []string
	for _, e := range entries {
		made = append(made, e.Name())
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s leads nowhere: %v", e.Name(), err)
		}
	}
	for name := range programs {
		want = append(want, name)
	}
	slices.Sort(want)
	if !slices.Equal(made, want) {
		t.Errorf("made %v, and hsctl answers to %v", made, want)
	}
}
