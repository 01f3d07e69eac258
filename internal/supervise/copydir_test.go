package supervise

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// writeTree writes files, "+x NAME" executable and "NAME -> TARGET" as a link.
func writeTree(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		name, x := strings.CutPrefix(f, "+x ")
		name, target, link := strings.Cut(name, " -> ")
		where := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(where), 0o755)
		mode := os.FileMode(0o644)
		if x {
			mode = 0o755
		}
		if err == nil && link {
			err = os.Symlink(target, where)
		} else if err == nil {
			err = os.WriteFile(where, []byte(f), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listTree is the tree as writeTree was told it.
func listTree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.Walk(dir, func(where string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, where)
		switch target, lerr := os.Readlink(where); {
		case lerr == nil:
			name += " -> " + target
		case info.Mode()&0o111 != 0:
			name = "+x " + name
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestInstanceHasACopyOfItsOwn: EX-4. What changed is copied again, what scripts
// made stays, and supervise/ and special files are not taken along.
func TestInstanceHasACopyOfItsOwn(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "service", "getty_tty2")
	writeTree(t, from, "+x run", "conf", "env/TERM", "supervise/status", "log/supervise/status", "+x log/run",
		"log/main -> /var/log/x", "rel -> ../shared/x", "in -> env/TERM", "kind/was")
	if err := unix.Mkfifo(filepath.Join(from, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := func(want ...string) {
		t.Helper()
		if err := copyDir(from, to); err != nil {
			t.Fatal(err)
		}
		if got := listTree(t, to); !slices.Equal(got, want) {
			t.Fatalf("%q\nwant\n%q", got, want)
		}
	}
	shared := "rel -> " + filepath.Join(filepath.Dir(from), "shared/x")
	copied("+x log/run", "+x run", "conf", "env/TERM", "in -> env/TERM", "kind/was", "log/main -> /var/log/x", shared)

	writeTree(t, to, "env.out", "log/current")
	if err := os.WriteFile(filepath.Join(from, "conf"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(from, "kind"))
	writeTree(t, from, "kind")
	before, _ := os.Stat(filepath.Join(to, "run"))
	copied("+x log/run", "+x run", "conf", "env.out", "env/TERM", "in -> env/TERM", "kind", "log/current", "log/main -> /var/log/x", shared)
	if text, _ := os.ReadFile(filepath.Join(to, "conf")); string(text) != "another" {
		t.Errorf("conf is %q", text)
	}
	if after, _ := os.Stat(filepath.Join(to, "run")); !os.SameFile(before, after) {
		t.Error("what did not change was copied again")
	}
}

// A service must not have us write outside its copy by a link that it makes.
func TestCopyStaysInside(t *testing.T) {
	from, to, victim := t.TempDir(), t.TempDir(), t.TempDir()
	writeTree(t, from, "env/TERM", "conf")
	writeTree(t, victim, "conf")
	writeTree(t, to, "env -> "+victim, "conf -> "+filepath.Join(victim, "conf"))
	if err := copyDir(from, to); err != nil {
		t.Fatal(err)
	}
	if got := listTree(t, victim); !slices.Equal(got, []string{"conf"}) {
		t.Errorf("outside there is %q", got)
	}
	if got := listTree(t, to); !slices.Equal(got, []string{"conf", "env/TERM"}) {
		t.Errorf("%q", got)
	}
	big, err := os.Create(filepath.Join(from, "big"))
	if err == nil {
		err = big.Truncate(maxCopy + 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := copyDir(from, to); err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("a directory too large: %v", err)
	}
}
