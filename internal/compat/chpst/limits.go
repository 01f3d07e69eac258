package chpst

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// most stands for as much as the hard limit allows, as "=" does on a command line.
const most = unix.RLIM_INFINITY

// bounds are the resources that each letter limits.
var bounds = map[byte][]int{
	'm': {unix.RLIMIT_DATA, unix.RLIMIT_STACK, unix.RLIMIT_MEMLOCK, unix.RLIMIT_AS},
	'a': {unix.RLIMIT_AS},
	'c': {unix.RLIMIT_CORE},
	'd': {unix.RLIMIT_DATA},
	'f': {unix.RLIMIT_FSIZE},
	'l': {unix.RLIMIT_MEMLOCK},
	'o': {unix.RLIMIT_NOFILE},
	'p': {unix.RLIMIT_NPROC},
	'r': {unix.RLIMIT_RSS},
	's': {unix.RLIMIT_STACK},
	't': {unix.RLIMIT_CPU},
}

// limit notes what a letter limits, until a program is run.
func (p *process) limit(letter byte, value string) error {
	n := uint64(most)
	if value != "=" {
		var ok bool
		if n, ok = number(value); !ok {
			return p.usage("-" + string(rune(letter)) + " " + value + ": write a number, or = for what the hard limit allows")
		}
	}
	for _, r := range bounds[letter] {
		p.limits[r] = n
	}
	return nil
}

// change is what becomes of a soft limit.
type change struct {
	resource int
	from, to syscall.Rlimit
}

// changes are the limits to be set, none above its hard limit.
func (p *process) changes() ([]change, error) {
	var all []change
	for r, n := range p.limits {
		c := change{resource: r}
		if err := syscall.Getrlimit(r, &c.from); err != nil {
			return nil, err
		}
		c.to = syscall.Rlimit{Cur: min(n, c.from.Max), Max: c.from.Max}
		all = append(all, c)
	}
	return all, nil
}

func softlimit(p *process, args []string) error {
	const letters = "acdflmoprst"
	args, err := p.options(args, "", letters, func(o byte, v string) error { return p.limit(o, v) })
	if err != nil {
		return err
	}
	return p.become(args[0], args)
}

// limits tells whether the letter is one that chpst has for a limit: -l is its
// lock.
func limits(letter byte) bool { return strings.IndexByte("acdfmoprst", letter) >= 0 }
