package dialect

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"hotsvc/internal/service"
)

var update = flag.Bool("update", false, "write what is found into testdata")

// The files in testdata are trees. A part "+x NAME" is executable, a part
// "NAME -> TARGET" a link; "found" is what is read of the tree. The comment's
// line "tree: DIALECT" names the dialect.
func TestTrees(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree := Tree{Name: "/etc/sv", FS: treeOf(t, a), Copies: "/run/hotsvc/service", RunDir: "/run/hotsvc/sysmgr", Mounts: []string{"/srv"}}
			if _, d, ok := strings.Cut(string(a.Comment), "tree: "); ok {
				tree.Dialect = service.Dialect(strings.Fields(d)[0])
			}
			got := text(Read(tree))
			last := &a.Files[len(a.Files)-1]
			if got == string(last.Data) {
				return
			}
			if !*update {
				t.Errorf("found\n%s\nwant\n%s", got, last.Data)
				return
			}
			last.Data = []byte(got)
			if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// treeOf makes the tree on disk: links are the system's business.
func treeOf(t *testing.T, a *txtar.Archive) fs.FS {
	dir := t.TempDir()
	for _, f := range a.Files[:len(a.Files)-1] {
		name, executable := strings.CutPrefix(f.Name, "+x ")
		name, target, link := strings.Cut(name, " -> ")
		where := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(where), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, where)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(where, 0o755)
		case executable:
			err = os.WriteFile(where, f.Data, 0o755)
		default:
			err = os.WriteFile(where, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return os.DirFS(dir)
}

// text is what was found, for people.
func text(f Found) string {
	var b strings.Builder
	fmt.Fprintf(&b, "native %v, of %v\n", f.Native, f.Dialects)
	for _, p := range f.Problems {
		fmt.Fprintln(&b, p)
	}
	for _, d := range f.Definitions {
		fmt.Fprintf(&b, "\n%s (%s, %s)\n", d.Name, d.Dialect, d.Pos)
		if d.Broken != "" {
			fmt.Fprintf(&b, "broken: %s\n", d.Broken)
			continue
		}
		b.WriteString(d.String())
		e := d.Exec
		for _, v := range []struct{ name, value string }{{"input", e.Input}, {"copy of", e.CopyOf}} {
			if v.value != "" {
				fmt.Fprintf(&b, "%s: %s\n", v.name, v.value)
			}
		}
		fmt.Fprintf(&b, "inherits: %v, manner:%s\n", e.InheritEnv, manner(d.Policy.Manner))
	}
	return b.String()
}

// manner lists what differs from the native one.
func manner(m service.Manner) (out string) {
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			out += fmt.Sprintf(" %s=%v", v.Type().Field(i).Name, v.Field(i))
		}
	}
	return out
}

func TestCut(t *testing.T) {
	for text, want := range map[string][2]string{
		"/etc/sv":       {"", "/etc/sv"},
		"runit:/etc/sv": {"runit", "/etc/sv"},
		"hermit:rel:x":  {"hermit", "rel:x"},
		"s6:/etc/s6":    {"", "s6:/etc/s6"},
	} {
		if d, dir := Cut(text); [2]string{string(d), dir} != want {
			t.Errorf("%s: %q %q", text, d, dir)
		}
	}
}

// vanishing is a directory of which everything is listed and nothing is there.
type vanishing struct{ fstest.MapFS }

func (v vanishing) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "." {
		return v.MapFS.ReadDir(name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (v vanishing) Stat(name string) (fs.FileInfo, error) {
	if strings.Contains(name, "gone") && name != "gone" {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return v.MapFS.Stat(name)
}

// A directory that goes while it is read is known, says so, and harms no other.
func TestDirectoryThatVanishesHalfRead(t *testing.T) {
	tree := fstest.MapFS{}
	for _, name := range []string{"gone/run", "gone/log/run", "stays/run"} {
		tree[name] = &fstest.MapFile{Mode: 0o755}
	}
	f := Read(Tree{Name: "/sv", FS: vanishing{tree}, Dialect: service.Runit})
	var got []string
	for _, d := range f.Definitions {
		got = append(got, d.Name+": "+d.Broken)
	}
	want := []string{"gone: /sv/gone/run is not there: write it, or rename the directory to .gone", "stays: "}
	if !slices.Equal(got, want) || len(f.Problems) != 1 || !f.Problems[0].Warning {
		t.Errorf("%q\n%v", got, f.Problems)
	}
}
