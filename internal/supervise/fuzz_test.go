package supervise

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
)

// FuzzStat: a process may call itself what it likes; what is read of it stays
// the same.
func FuzzStat(f *testing.F) {
	for _, name := range []string{"sh", "a) S 1 (b", ") R 0 0 0", "\n(", "\xff", ""} {
		f.Add(name, 'S', uint32(1), uint64(4711), uint16(256))
	}
	f.Fuzz(func(t *testing.T, name string, state rune, parent uint32, started uint64, exit uint16) {
		if state <= ' ' || state > '~' || state == ')' {
			state = 'R'
		}
		name = strings.TrimRight(name, "\x00")
		text := fmt.Sprintf("9 (%s) %c %d 7 8%s %d%s %d\n", name, state, parent>>1, strings.Repeat(" 0", 15), started>>1, strings.Repeat(" 1", 29), exit)
		got, err := parseStat(9, []byte(text))
		want := stat{pid: 9, parent: int(parent >> 1), session: 8, state: byte(state), started: started >> 1, exit: unix.WaitStatus(exit)}
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
		parseStat(9, []byte(name)) // and what is no stat at all harms nobody
	})
}

// FuzzTreeOfPath: a path below our cgroup is of the attempt that made it, however
// its service is called, and of no other.
func FuzzTreeOfPath(f *testing.F) {
	f.Add("dhcp@wan0", int64(3), "")
	f.Add("getty@/dev/tty0", int64(-1), "sub/../x")
	f.Add(".", int64(0), "9")
	f.Fuzz(func(t *testing.T, name string, attempt int64, below string) {
		path := fmt.Sprintf("%s/%d", service.FileName(name), attempt)
		got, ok := treeOfPath(path+"/"+below, true)
		if ok != (name != "") || ok && got != (Tree{Service: name, Attempt: attempt}) {
			t.Errorf("%q, attempt %d at %s is %+v, %v", name, attempt, path, got, ok)
		}
		if got, ok := treeOfPath(below, true); ok && service.FileName(got.Service) != strings.SplitN(below, "/", 2)[0] {
			t.Errorf("%q is %+v", below, got)
		}
	})
}

// FuzzCgroupPlaces: what is tried lies below a mount point of a cgroup2.
func FuzzCgroupPlaces(f *testing.F) {
	f.Add("30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/a/b\n")
	f.Add("30 1 0:26 /../.. /m\\040x rw shared:1 - cgroup2 none rw\n31 1 0:1 / /x rw - tmpfs - rw\n", "1:x:/\n0::/../c\n")
	f.Fuzz(func(t *testing.T, mounts, own string) {
		for _, place := range cgroupPlaces(mounts, own) {
			below := false
			for line := range strings.Lines(mounts) {
				if f := strings.Fields(line); len(f) > 4 && strings.Contains(line, " - cgroup2 ") {
					rel, err := filepath.Rel(unescapeMount(f[4]), place)
					below = below || err == nil && filepath.IsLocal(rel)
				}
			}
			if !below {
				t.Errorf("%q, %q: %q", mounts, own, place)
			}
		}
	})
}
