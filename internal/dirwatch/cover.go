package dirwatch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What is watched for.
const (
	itself  = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	comings = unix.IN_CREATE | unix.IN_MOVED_TO
	entries = comings | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_ATTRIB
	target  = unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
	content = entries | target
)

// maxLinks is how many links a path may go over, as in path_resolution(7).
const maxLinks = 40

// mark says which events of a watch matter.
type mark struct {
	all   bool     // of any entry that counts
	names []string // of these entries
}

// serviceFiles are the entries of a service directory whose coming and going
// matters. Services write files of their own there.
var serviceFiles = []string{"run", "finish", "down", "pre", "post", "log", "control"}

func (m mark) matters(name string, mask uint32) bool {
	switch {
	case name == "": // itself
		return mask&(itself|target|unix.IN_UNMOUNT) != 0
	case m.all:
		return name[0] != '#' && !strings.HasSuffix(name, "~")
	}
	return slices.Contains(m.names, name)
}

// cover is one pass over the trees.
type cover struct {
	fd    int
	marks map[int]mark
	err   error // the first watch that could not be had
}

// tree watches a tree and its service directories.
func (c *cover) tree(dir string) {
	if !c.path(dir) || !c.add(dir, content, mark{all: true}) {
		return
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return // gone again, which is told
	}
	for _, e := range list {
		name := filepath.Join(dir, e.Name())
		if e.Name()[0] == '.' || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 && !c.path(name) {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if !info.IsDir() { // a program or hermit's file, linked in
			c.add(name, target, mark{})
			continue
		}
		c.add(name, entries|itself, mark{names: serviceFiles})
		for _, sub := range []string{"log", "control"} {
			c.add(filepath.Join(name, sub), entries|itself, mark{all: sub == "control", names: serviceFiles})
		}
	}
}

// path watches all that decides what a path leads to, and tells whether it leads
// anywhere. Directories and links on the way tell of their own end; the first
// that is missing is looked out for where it would come.
func (c *cover) path(path string) bool {
	rest := strings.Split(path, "/")
	at := "/"
	links := 0
	for len(rest) > 0 {
		name := rest[0]
		if name == "" || name == "." {
			rest = rest[1:]
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			c.add(at, comings|itself, mark{names: []string{name}})
			if info, err = os.Lstat(next); err != nil {
				return false
			}
		}
		rest = rest[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			c.add(next, itself, mark{})
			at = next
			continue
		}
		c.add(next, itself|unix.IN_DONT_FOLLOW, mark{})
		target, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return false
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return true
}

// add watches one file for more; what is not there any more is told by what
// holds it. One watch serves all that look at the same file.
func (c *cover) add(path string, mask uint32, m mark) bool {
	wd, err := unix.InotifyAddWatch(c.fd, path, mask|unix.IN_MASK_ADD)
	if err != nil {
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) && c.err == nil {
			c.err = &fs.PathError{Op: "watch", Path: path, Err: err}
		}
		return false
	}
	old := c.marks[wd]
	c.marks[wd] = mark{all: old.all || m.all, names: slices.Concat(old.names, m.names)}
	return true
}
