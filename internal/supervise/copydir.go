package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxCopy bounds what is copied of a service directory, in bytes: it goes to
	// the run directory, which is memory.
	maxCopy = 16 << 20

	copiedName = ".copied" // what was copied last time, in the copy
)

// copyDir makes a directory what another one is, so that a service has it for
// its own: what is new or changed is copied, and what went goes. What the
// service's scripts made or changed there is theirs, and stays. There is no copy
// of supervise/, of log/, which its own service has, nor of special files.
func copyDir(from, to string) error {
	if err := neighbours(from, to); err != nil {
		return err
	}
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenRoot(to) // a link that a script made there leads no write of ours out of it
	if err != nil {
		return err
	}
	defer target.Close()
	c := copier{source: source, target: target, from: from, was: map[string]stamp{}, is: map[string]stamp{}}
	if text, err := target.ReadFile(copiedName); err == nil && json.Unmarshal(text, &c.was) != nil {
		c.was = map[string]stamp{}
	}
	if err := fs.WalkDir(source.FS(), ".", c.visit); err != nil {
		return err
	}
	return c.finish()
}

// neighbours links what stands beside a service directory beside its copy, too:
// its scripts look for ../ntpd. Other instances are not linked: they come there
// themselves.
func neighbours(from, to string) error {
	if filepath.Base(from) == "log" { // beside it is the copy that its service has
		return nil
	}
	if info, err := os.Lstat(to); err == nil && info.Mode()&fs.ModeSymlink != 0 { // linked before it was an instance
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Dir(from))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		it := filepath.Join(filepath.Dir(from), e.Name())
		leads, err := os.Readlink(it)
		if e.IsDir() || err == nil && filepath.Base(leads) == e.Name() {
			os.Symlink(it, filepath.Join(filepath.Dir(to), e.Name())) // unless something is there
		}
	}
	return nil
}

// copies numbers what is copied: a service and its logger may do so at once.
var copies atomic.Int64

// stamp tells whether a file is still the one that was copied.
type stamp struct {
	Mode fs.FileMode
	Size int64
	Time int64  // of the last change of its content, ns since 1970
	Link string // where a link leads
}

type copier struct {
	source, target *os.Root
	from           string
	bytes          int64
	was, is        map[string]stamp // what was copied before, and what is now
}

func (c *copier) visit(name string, e fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) || name == "." {
		return nil // gone while we looked
	}
	if err != nil {
		return err
	}
	if e.Name() == "supervise" || name == "log" || name == copiedName {
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return nil
	}
	want := stampOf(info)
	switch info.Mode().Type() {
	case fs.ModeDir:
		return c.dir(name, info)
	case fs.ModeSymlink:
		want = stamp{Mode: fs.ModeSymlink}
		if want.Link, err = c.leads(name); err != nil {
			return nil
		}
	case 0:
	default:
		return nil
	}
	there, err := c.there(name)
	switch {
	case err == nil && there != c.was[name]:
		return nil // its own
	case err == nil && there == want:
	case want.Link != "":
		c.target.Remove(name)
		if err := c.target.Symlink(want.Link, name); err != nil {
			return err
		}
	default:
		if err := c.file(name, info); err != nil {
			return err
		}
	}
	c.is[name] = want
	return nil
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{Mode: info.Mode(), Size: info.Size(), Time: info.ModTime().UnixNano()}
}

// there is the stamp of what stands in the copy.
func (c *copier) there(name string) (stamp, error) {
	info, err := c.target.Lstat(name)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		if err != nil {
			return stamp{}, err
		}
		return stampOf(info), nil
	}
	to, err := c.target.Readlink(name)
	return stamp{Mode: fs.ModeSymlink, Link: to}, err
}

func (c *copier) dir(name string, info fs.FileInfo) error {
	there, err := c.target.Lstat(name)
	switch {
	case err == nil && there.IsDir():
		return nil
	case err == nil:
		return fs.SkipDir // something else in its place, of its own
	}
	if err := c.target.Mkdir(name, 0o755); err != nil {
		return err
	}
	return c.like(name, info)
}

// file copies one and puts it in place whole.
func (c *copier) file(name string, info fs.FileInfo) error {
	if c.bytes += info.Size(); c.bytes > maxCopy {
		return fmt.Errorf("more than %d MiB in it: make it a directory of its own instead of a link", maxCopy>>20)
	}
	in, err := c.source.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	return c.whole(name, io.LimitReader(in, maxCopy), func(part string) error { return c.like(part, info) })
}

// whole writes a file under another name, and gives it its own when it is done.
func (c *copier) whole(name string, text io.Reader, finish func(part string) error) error {
	dir, base := path.Split(name)
	part := fmt.Sprintf("%s.%s.%d.%d", dir, base, os.Getpid(), copies.Add(1))
	out, err := c.target.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, text)
	if err = errors.Join(err, out.Close()); err == nil {
		err = finish(part)
	}
	if err == nil {
		err = c.target.Rename(part, name)
	}
	if err != nil {
		c.target.Remove(part)
	}
	return err
}

// like gives a copy the owner, mode and time of its original. Another owner can
// be had by root alone.
func (c *copier) like(name string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := c.target.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := c.target.Chmod(name, info.Mode().Perm()|info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return c.target.Chtimes(name, info.ModTime(), info.ModTime())
}

// leads is where the copy of a link leads: out of the directory to the same
// place as the original, within it to the same in the copy.
func (c *copier) leads(name string) (string, error) {
	to, err := c.source.Readlink(name)
	if inside := path.Join(path.Dir(name), to); !filepath.IsAbs(to) && (inside == ".." || strings.HasPrefix(inside, "../")) {
		to = filepath.Join(c.from, inside)
	}
	return to, err
}

// finish takes away what was copied and is no more, and notes what is.
func (c *copier) finish() error {
	for name, was := range c.was {
		_, err := c.source.Lstat(name)
		if there, terr := c.there(name); errors.Is(err, fs.ErrNotExist) && terr == nil && there == was {
			c.target.Remove(name)
		}
	}
	if maps.Equal(c.was, c.is) {
		return nil
	}
	text, err := json.Marshal(c.is)
	if err != nil {
		return err
	}
	return c.whole(copiedName, strings.NewReader(string(text)), func(string) error { return nil })
}
