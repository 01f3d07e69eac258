package hostwatch

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/object"
)

func sorted(m map[string]object.Object) []string { return slices.Sorted(maps.Keys(m)) }

// parseMounts reads /proc/PID/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /root /target rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
//
// Of mounts on one target the last is on top, and the one that is there.
func parseMounts(text string) (mounts map[string]object.Object, refused uint64) {
	mounts = make(map[string]object.Object)
	for line := range strings.Lines(text) {
		o, ok := parseMount(strings.TrimSuffix(line, "\n"))
		if !ok {
			refused++
			continue
		}
		mounts[o.Life.Key.ID] = o
	}
	return mounts, refused
}

func parseMount(line string) (o object.Object, ok bool) {
	mine, super, ok := strings.Cut(line, " - ")
	head, tail := strings.Split(mine, " "), strings.Split(super, " ")
	if !ok || len(head) < 6 || len(tail) < 3 {
		return o, false
	}
	id, err := strconv.ParseUint(head[0], 10, 32)
	major, minor, isDev := strings.Cut(head[2], ":")
	maj, err1 := strconv.ParseUint(major, 10, 12)
	min, err2 := strconv.ParseUint(minor, 10, 20)
	if err != nil || err1 != nil || err2 != nil || !isDev {
		return o, false
	}
	target := unescape(head[4])
	options, ro := options(head[5], tail[len(tail)-1])
	o.Life.Key = object.Key{Kind: object.Mount, ID: target}
	// Mount ids are used again, but rarely at once and for another device too.
	o.Life.Incarnation = (maj<<20|min)<<32 | id
	o.Words = object.Words{
		"target":  {target},
		"fstype":  {unescape(tail[0])},
		"options": options,
		"ro":      object.Bool(ro),
	}
	// A file system without a source may have an empty one.
	if source := unescape(strings.Join(tail[1:len(tail)-1], " ")); source != "" {
		o.Words["source"] = []string{source}
	}
	return o, true
}

// options joins those of the mount with those of the file system. What either
// forbids cannot be written to.
func options(mount, super string) (all []string, ro bool) {
	for i, list := range [2]string{mount, super} {
		for opt := range strings.SplitSeq(list, ",") {
			switch {
			case opt == "ro":
				ro = true
			case opt == "rw" || opt == "" || i == 1 && slices.Contains(all, opt):
			default:
				all = append(all, unescape(opt))
			}
		}
	}
	first := "rw"
	if ro {
		first = "ro"
	}
	return append([]string{first}, all...), ro
}

// unescape undoes the kernel's \040 for space, tab, newline and backslash
// (mangle_path in fs/seq_file.c).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return strings.Clone(s) // not the whole text for the sake of one word
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
