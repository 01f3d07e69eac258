package chpst

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// lock takes an exclusive lock that the program to be run holds: it inherits the
// descriptor. Without wait it fails where another process has it.
func (p *process) lock(path string, wait bool) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK, 0o600)
	})
	if err != nil {
		return p.fatal("cannot open the lock", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	_, err = retry(func() (int, error) { return 0, unix.Flock(fd, how) })
	if err == unix.EWOULDBLOCK {
		err = errors.New("another process has it")
	}
	if err != nil {
		return p.fatal("cannot lock "+path, err)
	}
	return nil
}

// retry calls again what a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// setlock waits for the lock unless told not to, as daemontools has it; in
// runit, which means to do the same, -n and -N have changed places.
func setlock(p *process, args []string) error {
	wait, silent := true, false
	args, err := p.options(args, "nNxX", "", func(o byte, _ string) error {
		switch o {
		case 'n', 'N':
			wait = o == 'N'
		case 'x', 'X':
			silent = o == 'x'
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return p.usage("which program?")
	}
	err = p.lock(args[0], wait)
	if err == nil {
		err = p.become(args[1], args[1:])
	}
	if silent {
		return &failure{}
	}
	return err
}
