package sysfs

import (
	"errors"
	"os"
	"path"
	"strings"
	"syscall"

	"hotsvc/internal/object"
)

// Tree is a mounted sysfs. It is used by one goroutine.
type Tree struct {
	Root  string   // "/sys"
	Attrs []string // names of the attributes to read into ATTR{…} words

	texts Texts
	ids   map[string]ids // by devpath, while Remember is on
}

// Device is what /sys says of one device now.
type Device struct {
	Words object.Words
	Inode uint64 // of its directory: another one after the device was made anew
}

// Event-only keys tell of an event and not of a device: they are no words.
var eventOnly = map[string]bool{
	"ACTION": true, "SEQNUM": true, "HOTPLUG": true, "DISK_MEDIA_CHANGE": true,
	"DEVPATH_OLD": true, "SDEV_MEDIA_CHANGE": true, "DISK_EJECT_REQUEST": true, "RESIZE": true,
}

// IsWord tells whether a property's key can be a word: it looks like one and
// does not tell of an event only.
func IsWord(key string) bool {
	if key == "" || key[0] < 'A' || key[0] > 'Z' || eventOnly[key] || strings.HasPrefix(key, "SYNTH_") {
		return false
	}
	for i := range len(key) {
		if c := key[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// ValidDevpath tells whether p can be the devpath of a device: below /devices,
// clean, and not so long that it cannot be a path.
func ValidDevpath(p string) bool {
	return strings.HasPrefix(p, "/devices/") && len(p) < 4000 && path.Clean(p) == p && !strings.ContainsRune(p, 0)
}

// Remember keeps what was found of parents until Forget, for a list; between
// two events it could grow stale.
func (t *Tree) Remember() { t.ids = make(map[string]ids) }

// Forget ends Remember.
func (t *Tree) Forget() { t.ids = nil }

// Inode returns the inode number of the device's directory. A missing device
// is fs.ErrNotExist.
func (t *Tree) Inode(devpath string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(t.Root+devpath, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// Read returns the device with that devpath, with every word but those of a
// message. A directory without a file uevent is no device. Vanished devices
// give fs.ErrNotExist or ENODEV.
func (t *Tree) Read(devpath string) (Device, error) {
	inode, err := t.Inode(devpath)
	if err != nil {
		return Device{}, err
	}
	dir := t.Root + devpath
	text, err := readFile(dir + "/uevent")
	switch {
	case errors.Is(err, os.ErrPermission): // some are 0200: the device is there all the same
	case err != nil:
		return Device{}, err
	}
	w := make(object.Words, 8)
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			t.Property(w, key, value)
		}
	}
	if sub := linkBase(dir + "/subsystem"); sub != "" {
		w["SUBSYSTEM"] = t.texts.One(sub)
	}
	if drv := linkBase(dir + "/driver"); drv != "" {
		w["DRIVER"] = t.texts.One(drv)
	}
	t.Place(w, devpath)
	t.derive(w, devpath)
	t.attributes(w, dir)
	if again, err := t.Inode(devpath); err != nil || again != inode {
		return Device{}, os.ErrNotExist // half of one life and half of the next
	}
	return Device{w, inode}, nil
}

// Property adds a property to the words, if it is one.
func (t *Tree) Property(w object.Words, key, value string) {
	value = strings.TrimSpace(value) // MODALIAS of a CPU ends in a newline
	if value == "" || !IsWord(key) || !printable(value) {
		return
	}
	key = t.texts.Name(key)
	if key == "DEVNAME" {
		value = strings.TrimPrefix(value, "/dev/")
		w[key] = []string{"/dev/" + value, value}
		return
	}
	w[key] = t.texts.One(value)
}

// Place sets the words that the devpath gives: KERNEL and DEVPATH.
func (t *Tree) Place(w object.Words, devpath string) {
	devpath = strings.Clone(devpath)
	w["DEVPATH"] = []string{devpath}
	w["KERNEL"] = []string{path.Base(devpath)}
	delete(w, "PARENT")
	if parent := t.parent(devpath); parent != "" {
		w["PARENT"] = t.texts.One(path.Base(parent))
	}
}

// parent is the nearest ancestor that is a device, or "".
func (t *Tree) parent(devpath string) string {
	for p := path.Dir(devpath); len(p) > len("/devices/"); p = path.Dir(p) {
		if t.ids != nil {
			if at, known := t.ids[p]; known && at.device {
				return p
			}
		}
		if _, err := os.Lstat(t.Root + p + "/uevent"); err == nil {
			return p
		}
	}
	return ""
}

func linkBase(name string) string {
	to, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return path.Base(to)
}
