package uevent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// dock is a burst as it was caught: HOTSVC_CAPTURE=1 catches it anew.
const dock = "testdata/dock.burst"

// sysTree is a sysfs in which the messages of a burst come true.
type sysTree struct {
	t       *testing.T
	root    string
	graves  int
	leaving string // told to go, and still there
}

// happens makes a message true. A removed device's directory goes a little after
// its message (device_del in drivers/base/core.c).
func (s *sysTree) happens(msg []byte) {
	s.bury()
	fields := strings.Split(strings.TrimSuffix(string(msg), "\x00"), "\x00")
	action, devpath, _ := strings.Cut(fields[0], "@")
	env := map[string]string{}
	text := ""
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		env[key] = value
		if key == "INTERFACE" || key == "IFINDEX" || key == "DEVTYPE" {
			text += f + "\n"
		}
	}
	name := filepath.Base(devpath)
	switch action {
	case "add":
		s.file(devpath+"/uevent", text)
		s.try(os.Symlink("../x/"+env["SUBSYSTEM"], s.root+devpath+"/subsystem"))
	case "move":
		s.try(os.Rename(s.root+env["DEVPATH_OLD"], s.root+devpath))
		s.file(devpath+"/uevent", text)
		s.try(os.RemoveAll(s.root + "/class/net/" + filepath.Base(env["DEVPATH_OLD"])))
	case "remove":
		s.leaving = devpath
		return
	default:
		s.t.Fatalf("the burst has a %s", action)
	}
	if env["SUBSYSTEM"] == "net" {
		s.file("/class/net/"+name+"/ifindex", env["IFINDEX"]+"\n")
	}
}

// bury takes a directory away; its inode must not come back.
func (s *sysTree) bury() {
	if s.leaving == "" {
		return
	}
	s.graves++
	s.try(os.Rename(s.root+s.leaving, fmt.Sprintf("%s/graves/%d", s.root, s.graves)))
	s.try(os.RemoveAll(s.root + "/class/net/" + filepath.Base(s.leaving)))
	s.leaving = ""
}

func (s *sysTree) file(name, text string) {
	s.try(os.MkdirAll(filepath.Dir(s.root+name), 0o755))
	s.try(os.WriteFile(s.root+name, []byte(text), 0o644))
}

func (s *sysTree) try(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal(err)
	}
}

// differs says in what the engine's knowledge is not what the tree has.
func (s *sysTree) differs(store *object.Store) string {
	there := 0
	wrong := ""
	s.try(filepath.WalkDir(s.root+"/devices", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "uevent" {
			return err
		}
		there++
		devpath := filepath.Dir(path)[len(s.root):]
		text, err := os.ReadFile(path)
		s.try(err)
		var st unix.Stat_t
		s.try(unix.Lstat(filepath.Dir(path), &st))
		o := store.Get(object.Key{Kind: object.Device, ID: devpath})
		switch {
		case o == nil:
			wrong = devpath + " is not known"
		case o.Life.Incarnation != st.Ino:
			wrong = fmt.Sprintf("%s is known in another life, %d and not %d", devpath, o.Life.Incarnation, st.Ino)
		case text != nil && o.Words.Get("IFINDEX") != "" && !strings.Contains(string(text), "IFINDEX="+o.Words.Get("IFINDEX")+"\n"):
			wrong = fmt.Sprintf("%s is known with %v, and is %q", devpath, o.Words, text)
		}
		return nil
	}))
	if wrong == "" && store.Len() != there {
		for _, o := range store.All(object.Device) {
			if _, err := os.Stat(s.root + o.Life.Key.ID + "/uevent"); err != nil {
				return o.Life.Key.ID + " is known, and gone"
			}
		}
	}
	return wrong
}

// Whichever message of a dock's burst is the first to be lost, and whenever
// somebody reads again: in the end what is known is what there is.
func TestOverflowAtEachMessageOfADock(t *testing.T) {
	if os.Getenv("HOTSVC_CAPTURE") != "" {
		livetest.Namespace(t, func(t *testing.T) {
			livetest.WriteBurst(t, dock, livetest.Capture(t, unix.NETLINK_KOBJECT_UEVENT, 1, func() { livetest.Dock(t) }))
		})
	}
	burst := livetest.ReadBurst(t, dock)
	if len(burst) < 50 {
		t.Fatalf("the burst has only %d messages", len(burst))
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 0; at <= len(burst); at += step {
		for _, loss := range []livetest.Loss{
			{At: at, Wake: at + at%11, Pause: 5, During: 2, Again: at%2 == 0},
			{At: at, Wake: len(burst) - at%5, Pause: 1 + at%3, During: at % 2},
		} {
			again(t, burst, loss)
		}
	}
}

// again plays the burst once.
func again(t *testing.T, burst [][]byte, loss livetest.Loss) {
	root, err := os.MkdirTemp("/dev/shm", "sys") // the inodes of a tmpfs do not come back, and it is fast
	if err != nil {
		root = t.TempDir()
	}
	defer os.RemoveAll(root)
	s := &sysTree{t: t, root: root}
	for _, dir := range []string{"/devices/virtual/net", "/class/net", "/graves"} {
		s.try(os.MkdirAll(s.root+dir, 0o755))
	}
	table := newTable(s.root)
	store := livetest.Replay(t, table, burst, loss, func(n int) { s.happens(burst[n-1]) })
	s.bury()
	table.Tick() // a second after the list
	for _, b := range table.Take(false) {
		store.Apply(b)
	}
	if wrong := s.differs(store); wrong != "" {
		t.Fatalf("%+v: %s", loss, wrong)
	}
}
