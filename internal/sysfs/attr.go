package sysfs

import (
	"os"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// pageSize is the most that a sysfs file holds (sysfs(5), fs/sysfs/file.c).
const pageSize = 4096

// attributes adds "ATTR{x}" for every asked name that the directory has.
func (t *Tree) attributes(w object.Words, dir string) {
	for _, name := range t.Attrs {
		if value, ok := t.Attr(dir, name); ok {
			w["ATTR{"+name+"}"] = t.texts.One(value)
		}
	}
}

// Attr reads one attribute below a device's directory. As with udev, the links
// driver, module and subsystem have the name of what they lead to; any other
// way out of the device is refused.
func (t *Tree) Attr(dir, name string) (string, bool) {
	if name == "" || name[0] == '/' || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") {
		return "", false
	}
	switch name {
	case "driver", "module", "subsystem":
		value := linkBase(dir + "/" + name)
		return value, value != ""
	}
	if strings.Contains(name, "/") && !inside(dir, path.Dir(name)) {
		return "", false
	}
	text, err := readFile(dir + "/" + name)
	if err != nil {
		return "", false // none, or none that can be read now: speed of a link that is down
	}
	value := trim(text)
	return value, printable(value)
}

// Inherited reads an attribute at the nearest ancestor-or-self that has it, as
// udev's ATTRS does.
func (t *Tree) Inherited(devpath, name string) (string, bool) {
	for p := devpath; len(p) > len("/devices/"); p = path.Dir(p) {
		if value, ok := t.Attr(t.Root+p, name); ok {
			return value, true
		}
	}
	return "", false
}

// inside tells whether each part of the path below dir is a real directory: a
// link such as device/ or driver/ leads to another device.
func inside(dir, below string) bool {
	at := dir
	for part := range strings.SplitSeq(below, "/") {
		at += "/" + part
		if info, err := os.Lstat(at); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// readFile reads a regular file up to a page. O_NOFOLLOW: a link leads away
// from the device. O_NONBLOCK: what is no regular file must not hold us up.
func readFile(name string) (string, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var buf [pageSize]byte
	n := 0
	for n < len(buf) {
		got, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		if got == 0 {
			break
		}
		n += got
	}
	return string(buf[:n]), nil
}

// ReadFile is for the few plain files outside a device that a source looks at.
func ReadFile(name string) (string, error) { return readFile(name) }

func trim(s string) string { return strings.TrimRight(s, " \t\r\n\x00") }

// printable refuses what no person could write in a rule: binary attributes
// such as descriptors or config.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}
