package trust

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Check is one look at the system: what it has seen once it does not look at again.
type Check struct {
	uid, gid int
	seen     map[string]error
}

// New begins a look for the user that we are.
func New() *Check {
	return &Check{uid: os.Geteuid(), gid: os.Getegid(), seen: map[string]error{}}
}

// File returns why a file is not to be believed and what to do, or nil. It looks
// at the file and at each directory on the way: whoever may write there can put
// another file in its place. Of a symlink the target counts, and the way to it.
// A file that is not there is nobody's: whoever opens it says so.
func (c *Check) File(name string) error {
	if why, ok := c.seen[name]; ok {
		return why
	}
	c.seen[name] = nil // a circle of links ends here
	why := c.look(name)
	c.seen[name] = why
	return why
}

func (c *Check) look(name string) error {
	dir := filepath.Dir(name)
	if dir != name {
		if why := c.File(dir); why != nil {
			return why
		}
	}
	info, err := os.Lstat(name)
	if err != nil {
		return nil
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return c.judge(name, info)
	}
	to, err := os.Readlink(name)
	if err != nil {
		return nil
	}
	if !filepath.IsAbs(to) {
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil
		}
		to = filepath.Join(dir, to)
	}
	return c.File(to)
}

// judge is the rule, for files and directories: /dev/null is a usual mask.
func (c *Check) judge(name string, info fs.FileInfo) error {
	mode, st := info.Mode(), info.Sys().(*syscall.Stat_t)
	uid, gid := int(st.Uid), int(st.Gid)
	switch {
	case !mode.IsRegular() && !mode.IsDir():
		return nil
	case uid != 0 && uid != c.uid && mapped(uid):
		return c.foreign(name, uid)
	case mode.IsDir() && mode&fs.ModeSticky != 0:
		return nil // as in /tmp, nobody can replace the files of others
	case mode&0o002 != 0:
		return fmt.Errorf("others may write to %s (mode %s): chmod go-w %s", name, octal(mode), name)
	case mode&0o020 != 0 && gid != 0 && gid != c.gid:
		return fmt.Errorf("group %d may write to %s (mode %s): chmod g-w %s", gid, name, octal(mode), name)
	}
	return nil
}

func (c *Check) foreign(name string, uid int) error {
	if c.uid == 0 {
		return fmt.Errorf("%s belongs to uid %d, not to root: chown root %s", name, uid, name)
	}
	return fmt.Errorf("%s belongs to uid %d, neither to root nor to uid %d: give it to one of them", name, uid, c.uid)
}

func octal(mode fs.FileMode) string {
	bits := mode.Perm()
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return fmt.Sprintf("%04o", uint32(bits))
}

// mapped tells whether a uid is somebody's in our user namespace. Files of
// everybody else seem to be one and the same user's, the system's own too, so
// they can be neither told apart nor refused (user_namespaces(7)).
func mapped(uid int) bool {
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return true
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var first, outside, count int
		if n, _ := fmt.Sscan(lines.Text(), &first, &outside, &count); n == 3 && uid >= first && uid-first < count {
			return true
		}
	}
	return false
}

// Own returns why a directory that is there cannot be ours alone to write in, and
// what to do.
func Own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSticky != 0 {
		return fmt.Errorf("%s is everybody's (mode %s): make a directory in it", dir, octal(info.Mode()))
	}
	return New().File(dir)
}
