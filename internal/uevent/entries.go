package uevent

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// entries reads one directory: whether it is a device's, and the names of the
// directories in it. os.ReadDir makes an object of each of the thousands of
// entries of /sys, between which the few that are kept would lie scattered, so
// that the memory of the list could not be given back.
func (t *table) entries(dir string) (device bool, below []string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, nil // it went meanwhile; its remove is in the socket
	}
	defer unix.Close(fd)
	for {
		n, err := unix.ReadDirent(fd, t.dirents)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return device, below
		}
		for b := t.dirents[:n]; len(b) > 0; {
			// struct linux_dirent64: inode, offset, length (2 bytes), type, name
			length := binary.NativeEndian.Uint16(b[16:])
			kind, name := b[18], b[19:length]
			name = name[:bytes.IndexByte(name, 0)]
			b = b[length:]
			switch {
			case kind == unix.DT_REG && string(name) == "uevent":
				device = true
			case kind == unix.DT_DIR && string(name) != "." && string(name) != "..":
				below = append(below, string(name))
			}
		}
	}
}
