package chpst

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ids are what a process runs as; the first of the groups is its own.
type ids struct {
	uid  int
	gids []int
}

// lookup reads user, user:group… or :uid:gid…. Without groups they are those
// that the user has in /etc/passwd, which is one.
func lookup(spec string) (ids, error) {
	names, numbers := strings.CutPrefix(spec, ":")
	user, groups, grouped := strings.Cut(names, ":")
	var i ids
	var err error
	if numbers {
		i.uid, err = toID(user)
	} else {
		i, err = account(user)
	}
	switch {
	case err != nil || !grouped && !numbers:
		return i, err
	case !grouped:
		return i, fmt.Errorf("%s: write :uid:gid", spec)
	}
	i.gids = nil
	for group := range strings.SplitSeq(groups, ":") {
		f := []string{2: group}
		if !numbers {
			f, err = entry("/etc/group", group)
		}
		var gid int
		if err == nil {
			gid, err = toID(f[2])
		}
		if err != nil {
			return i, err
		}
		i.gids = append(i.gids, gid)
	}
	return i, nil
}

// account returns who a user is.
func account(name string) (ids, error) {
	f, err := entry("/etc/passwd", name)
	if err != nil {
		return ids{}, err
	}
	uid, err := toID(f[2])
	if err != nil {
		return ids{}, err
	}
	gid, err := toID(f[3])
	return ids{uid, []int{gid}}, err
}

// entry returns the fields of a file's line about a name or, where none has that
// name, about that number; a number that is in no line stands for itself. Not
// os/user: where the caller's own uid has no entry, that believes $USER.
func entry(file, name string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var found []string
	if _, err := toID(name); err == nil {
		found = []string{name, "", name, name}
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 4 {
			continue
		}
		if f[0] == name {
			return f, nil
		}
		if f[2] == name {
			found = f
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%q is not in %s", name, file)
	}
	return found, nil
}

func toID(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 { // which means: leave it as it is
		return 0, fmt.Errorf("%q is no uid or gid", s)
	}
	return int(n), nil
}

// env says who it is in $GID and $UID.
func (i ids) env(p *process) {
	p.set("GID", strconv.Itoa(i.gids[0]))
	p.set("UID", strconv.Itoa(i.uid))
}

// take makes the process one of theirs, in all its threads.
func (i ids) take(p *process) error {
	if err := syscall.Setgroups(i.gids); err != nil {
		return p.fatal("cannot set the groups", err)
	}
	if err := syscall.Setgid(i.gids[0]); err != nil {
		return p.fatal("cannot set the group", err)
	}
	if err := syscall.Setuid(i.uid); err != nil {
		return p.fatal("cannot set the user", err)
	}
	return nil
}

func setuidgid(p *process, args []string) error {
	if len(args) < 2 {
		return p.usage("")
	}
	i, err := lookup(args[0])
	if err != nil {
		return p.fatal("which user is that", err)
	}
	if err := i.take(p); err != nil {
		return err
	}
	return p.become(args[1], args[1:])
}

func envuidgid(p *process, args []string) error {
	if len(args) < 2 {
		return p.usage("")
	}
	i, err := lookup(args[0])
	if err != nil {
		return p.fatal("which user is that", err)
	}
	i.env(p)
	return p.become(args[1], args[1:])
}
