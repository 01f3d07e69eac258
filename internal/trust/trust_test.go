package trust

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A way is what leads to a file. Modes are as given, whatever the umask.
func way(t *testing.T, modes map[string]fs.FileMode) string {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sv/web"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sv/web/run"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("web", filepath.Join(dir, "sv/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "sv/link/run"), filepath.Join(dir, "far")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhatOthersMayWriteIsRefused(t *testing.T) {
	me := New()
	for name, c := range map[string]struct {
		modes map[string]fs.FileMode
		file  string
		want  string // DIR is the directory; "": nothing is wrong
	}{
		"as it should be":       {nil, "sv/web/run", ""},
		"by a link":             {nil, "far", ""},
		"not there":             {nil, "sv/none/run", ""},
		"file":                  {map[string]fs.FileMode{"sv/web/run": 0o757}, "sv/web/run", "others may write to DIR/sv/web/run (mode 0757): chmod go-w DIR/sv/web/run"},
		"its directory":         {map[string]fs.FileMode{"sv/web": 0o777}, "sv/web/run", "others may write to DIR/sv/web (mode 0777): chmod go-w DIR/sv/web"},
		"a directory above":     {map[string]fs.FileMode{"sv": 0o772}, "sv/web/run", "others may write to DIR/sv (mode 0772): chmod go-w DIR/sv"},
		"target of two links":   {map[string]fs.FileMode{"sv/web/run": 0o666}, "far", "others may write to DIR/sv/link/run (mode 0666): chmod go-w DIR/sv/link/run"},
		"on the way of a link":  {map[string]fs.FileMode{"sv/web": 0o777}, "far", "others may write to DIR/sv/web (mode 0777): chmod go-w DIR/sv/web"},
		"like /tmp":             {map[string]fs.FileMode{"sv": fs.ModeSticky | 0o777}, "sv/web/run", ""},
		"group, our own":        {map[string]fs.FileMode{"sv/web/run": 0o775}, "sv/web/run", ""},
		"not there, where none": {map[string]fs.FileMode{"sv": 0o777}, "sv/none", "others may write to DIR/sv (mode 0777): chmod go-w DIR/sv"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := way(t, c.modes)
			c.want = strings.ReplaceAll(c.want, "DIR", dir)
			for range 2 { // remembered, too
				why := me.File(filepath.Join(dir, c.file))
				if why == nil && c.want != "" || why != nil && why.Error() != c.want {
					t.Errorf("%v\nwant %s", why, c.want)
				}
			}
		})
	}
}

func TestFilesOfOthersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 || !mapped(1234) {
		t.Skip("only root can give files away")
	}
	for name, c := range map[string]struct {
		me       Check
		uid, gid int
		mode     fs.FileMode
		want     string
	}{
		"root":                    {Check{}, 0, 0, 0o664, ""},
		"of another group":        {Check{}, 0, 1234, 0o644, ""},
		"for another group":       {Check{}, 0, 1234, 0o664, "group 1234 may write to FILE (mode 0664): chmod g-w FILE"},
		"a user's":                {Check{}, 1234, 0, 0o600, "FILE belongs to uid 1234, not to root: chown root FILE"},
		"the user's own":          {Check{uid: 1234, gid: 1234}, 1234, 1234, 0o664, ""},
		"root's, to that user":    {Check{uid: 1234, gid: 1234}, 0, 0, 0o644, ""},
		"another's, to that user": {Check{uid: 1234, gid: 1234}, 1235, 1234, 0o600, "FILE belongs to uid 1235, neither to root nor to uid 1234: give it to one of them"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(way(t, map[string]fs.FileMode{"sv/web/run": c.mode}), "sv/web/run")
			if err := os.Chown(file, c.uid, c.gid); err != nil {
				t.Fatal(err)
			}
			c.me.seen = map[string]error{}
			why, want := c.me.File(file), strings.ReplaceAll(c.want, "FILE", file)
			if why == nil && want != "" || why != nil && why.Error() != want {
				t.Errorf("%v\nwant %s", why, want)
			}
		})
	}
}

func TestADirectoryOfOurOwn(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o755:                 "",
		0o777:                 "others may write to DIR (mode 0777): chmod go-w DIR",
		fs.ModeSticky | 0o777: "DIR is everybody's (mode 1777): make a directory in it",
	} {
		dir := filepath.Join(way(t, map[string]fs.FileMode{"sv": mode}), "sv")
		why, want := Own(dir), strings.ReplaceAll(want, "DIR", dir)
		if why == nil && want != "" || why != nil && why.Error() != want {
			t.Errorf("%v\nwant %s", why, want)
		}
	}
}
