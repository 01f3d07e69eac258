package supervise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxCopy bounds what is copied of a service directory, in bytes: it goes to the
// run directory, which is memory.
const maxCopy = 16 << 20

// copyDir makes a directory what another one is, so that a service has it for
// its own: new and changed files are copied, and what its scripts made there
// stays. supervise/ belongs to the original; of what is neither file, directory
// nor link there is no copy.
func copyDir(from, to string) error {
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
	c := copier{source: source, target: target, from: from}
	return fs.WalkDir(source.FS(), ".", c.visit)
}

// copies numbers what is copied: a service and its logger may do so at once.
var copies atomic.Int64

type copier struct {
	source, target *os.Root
	from           string
	bytes          int64
}

func (c *copier) visit(name string, e fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone while we looked
	}
	if err != nil {
		return err
	}
	if e.Name() == "supervise" {
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return nil
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		if name == "." {
			return nil
		}
		if err := c.replace(name, fs.ModeDir); err != nil {
			return err
		}
		if err := c.target.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return c.like(name, info)
	case fs.ModeSymlink:
		return c.link(name)
	case 0:
		return c.file(name, info)
	}
	return nil
}

// replace removes what is there of another kind.
func (c *copier) replace(name string, kind fs.FileMode) error {
	there, err := c.target.Lstat(name)
	if err != nil || there.Mode().Type() == kind {
		return nil
	}
	return c.target.RemoveAll(name)
}

// file copies a file that is not the same already, and puts it in place whole.
func (c *copier) file(name string, info fs.FileInfo) error {
	there, err := c.target.Lstat(name)
	if err == nil && there.Mode() == info.Mode() && there.Size() == info.Size() && there.ModTime().Equal(info.ModTime()) {
		return nil
	}
	if c.bytes += info.Size(); c.bytes > maxCopy {
		return fmt.Errorf("more than %d MiB in it: make it a directory of its own instead of a link", maxCopy>>20)
	}
	in, err := c.source.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := c.replace(name, 0); err != nil {
		return err
	}
	dir, base := path.Split(name)
	part := fmt.Sprintf("%s.%s.%d.%d", dir, base, os.Getpid(), copies.Add(1))
	out, err := c.target.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxCopy))
	err = errors.Join(err, out.Close())
	if err == nil {
		err = c.like(part, info)
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

// link copies a link. Where it leads out of the directory it leads to the same
// place from the copy.
func (c *copier) link(name string) error {
	to, err := c.source.Readlink(name)
	if err != nil {
		return nil
	}
	if inside := path.Join(path.Dir(name), to); !filepath.IsAbs(to) && (inside == ".." || strings.HasPrefix(inside, "../")) {
		to = filepath.Join(c.from, inside)
	}
	if there, err := c.target.Readlink(name); err == nil && there == to {
		return nil
	}
	if err := c.target.RemoveAll(name); err != nil {
		return err
	}
	return c.target.Symlink(to, name)
}
