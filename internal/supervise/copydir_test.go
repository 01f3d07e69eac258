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

// TestInstanceHasACopyOfItsOwn: EX-4. What changed is copied again, what went
// goes, what its scripts made or changed stays, and neither supervise/ nor special
// files are taken along.
func TestInstanceHasACopyOfItsOwn(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "service", "getty_tty2")
	writeTree(t, from, "+x run", "conf", "env/TERM", "supervise/status", "log/supervise/status", "+x log/run",
		"main -> /var/log/x", "rel -> ../shared/x", "in -> env/TERM", "kind/was", "+x finish", "state")
	if err := unix.Mkfifo(filepath.Join(from, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := func(want ...string) {
		t.Helper()
		if err := copyDir(from, to); err != nil {
			t.Fatal(err)
		}
		if got := slices.DeleteFunc(listTree(t, to), func(n string) bool { return n == copiedName }); !slices.Equal(got, want) {
			t.Fatalf("%q\nwant\n%q", got, want)
		}
	}
	has := func(name, want string) {
		t.Helper()
		if text, _ := os.ReadFile(filepath.Join(to, name)); string(text) != want {
			t.Errorf("%s has %q, want %q", name, text, want)
		}
	}
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shared := "rel -> " + filepath.Join(filepath.Dir(from), "shared/x")
	copied("+x finish", "+x run", "conf", "env/TERM", "in -> env/TERM", "kind/was", "main -> /var/log/x", shared, "state")

	writeTree(t, to, "env.out", "log/current")
	write(to, "state", "of the instance")
	write(from, "state", "of the original, later")
	write(from, "env.out", "of the original")
	write(from, "conf", "another")
	os.RemoveAll(filepath.Join(from, "finish"))
	os.RemoveAll(filepath.Join(from, "kind/was"))
	os.Remove(filepath.Join(from, "in"))
	if err := os.Symlink("conf", filepath.Join(from, "in")); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(filepath.Join(to, "run"))
	for range 2 {
		copied("+x run", "conf", "env.out", "env/TERM", "in -> conf", "log/current", "main -> /var/log/x", shared, "state")
		has("conf", "another")
		has("state", "of the instance")
		has("env.out", "env.out")
	}
	if after, _ := os.Stat(filepath.Join(to, "run")); !os.SameFile(before, after) {
		t.Error("what did not change was copied again")
	}
	if err := os.Chmod(filepath.Join(from, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	copied("+x run", "conf", "env.out", "env/TERM", "in -> conf", "log/current", "main -> /var/log/x", shared, "state")
	if info, _ := os.Stat(filepath.Join(to, "run")); info.Mode() != 0o700 {
		t.Error(info.Mode())
	}
}

// Scripts find beside a copy what stands beside the link that it is of, other
// instances as they are themselves.
func TestInstanceHasItsNeighbours(t *testing.T) {
	tree, copies := t.TempDir(), filepath.Join(t.TempDir(), "service")
	writeTree(t, tree, "+x ntpd/run", "file", "pkg/conf", "dhcp_eth0 -> dhcp_if", "+x dhcp_if/run", "+x dhcp_if/log/run",
		"dhcp_eth1 -> dhcp_if", "web -> pkg/web", "rel/run -> ../pkg/conf", "inst -> rel")
	instance := func(name string) {
		t.Helper()
		if err := copyDir(filepath.Join(tree, name), filepath.Join(copies, name)); err != nil {
			t.Fatal(err)
		}
	}
	to := func(name string) string { link, _ := os.Readlink(filepath.Join(copies, name)); return link }
	instance("dhcp_eth0/log") // comes first
	instance("dhcp_eth0")
	entries, err := os.ReadDir(copies)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := []string{"dhcp_eth0", "dhcp_if", "ntpd", "pkg", "rel", "web"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, want %q: %v", got, want, err)
	}
	if to("ntpd") != filepath.Join(tree, "ntpd") || to("web") != filepath.Join(tree, "web") {
		t.Errorf("ntpd leads to %s, web to %s", to("ntpd"), to("web"))
	}
	instance("dhcp_eth1")
	if _, err := os.Stat(filepath.Join(copies, "dhcp_eth0/../dhcp_eth1/run")); err != nil || to("dhcp_eth1") != "" {
		t.Error(err)
	}
	instance("inst")
	if got := to("inst/run"); got != filepath.Join(tree, "pkg/conf") {
		t.Errorf("its link leads to %s", got)
	}
	// ntpd becomes an instance.
	if err := os.Rename(filepath.Join(tree, "ntpd"), filepath.Join(tree, "was")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("was", filepath.Join(tree, "ntpd")); err != nil {
		t.Fatal(err)
	}
	instance("ntpd")
	if to("ntpd") != "" {
		t.Error("ntpd is a link to", to("ntpd"))
	}
	if got := listTree(t, filepath.Join(tree, "was")); !slices.Equal(got, []string{"+x run"}) {
		t.Errorf("the original is now %q", got)
	}
}

// A service must not have us write outside its copy by a link that it makes.
func TestCopyStaysInside(t *testing.T) {
	from, to, victim := t.TempDir(), t.TempDir(), t.TempDir()
	writeTree(t, from, "env/TERM", "conf", "dir/sub/x")
	writeTree(t, victim, "conf")
	if err := copyDir(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"env", "conf", "dir/sub"} {
		os.RemoveAll(filepath.Join(to, name))
		os.RemoveAll(filepath.Join(from, name))
	}
	writeTree(t, to, "env -> "+victim, "conf -> "+filepath.Join(victim, "conf"), "dir/sub -> "+victim)
	writeTree(t, from, "env/TERM", "+x conf", "dir/sub/x")
	for range 2 {
		if err := copyDir(from, to); err != nil {
			t.Fatal(err)
		}
		if got := listTree(t, victim); !slices.Equal(got, []string{"conf"}) {
			t.Fatalf("outside there is %q", got)
		}
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
