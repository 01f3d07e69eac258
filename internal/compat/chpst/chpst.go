package chpst

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// chpst does what its options say in this order, whatever theirs: session,
// environment, who the users are, root and directory, nice value, user, lock,
// descriptors, limits.
func chpst(p *process, args []string) error {
	given := map[byte]string{} // the options, with their values
	nice := 0
	args, err := p.options(args, "vVP012", "uUbe/CnlLmadsfcropt", func(o byte, v string) error {
		switch {
		case limits(o):
			return p.limit(o, v)
		case o == 'V':
			return p.usage("hotsvc, in the manner of runit 2.1.2")
		case o == 'n':
			n, ok := number(strings.TrimPrefix(strings.TrimPrefix(v, "-"), "+"))
			if !ok || strings.HasPrefix(v, "-+") {
				return p.usage("-n " + v + ": write a number, with or without a sign")
			}
			nice = int(min(n, 40)) // all that there is
			if v[0] == '-' {
				nice = -nice
			}
			return nil
		case o == 'l' || o == 'L':
			_, l := given['l']
			if _, L := given['L']; l || L {
				return p.usage("one lock is all")
			}
		}
		given[o] = v
		return nil
	})
	if err != nil {
		return err
	}
	_, p.verbose = given['v']
	if _, ok := given['P']; ok {
		unix.Setsid() // fails for who leads a group already
	}
	if dir, ok := given['e']; ok {
		if err := p.setFrom(dir, true); err != nil {
			return err
		}
	}
	var user ids
	for _, o := range []byte("Uu") {
		if spec, ok := given[o]; ok {
			if user, err = lookup(spec); err != nil {
				return p.fatal("which user is that", err)
			}
			if o == 'U' {
				user.env(p)
			}
		}
	}
	if err := p.move(given); err != nil {
		return err
	}
	if nice != 0 {
		if err := renice(nice); err != nil {
			return p.fatal("cannot set the nice value", err)
		}
	}
	if _, ok := given['u']; ok {
		if err := user.take(p); err != nil {
			return err
		}
	}
	for _, o := range []byte("lL") {
		if file, ok := given[o]; ok {
			if err := p.lock(file, o == 'l'); err != nil {
				return err
			}
		}
	}
	for fd, o := range []byte("012") {
		if _, ok := given[o]; ok { // an error can still be said
			unix.CloseOnExec(fd)
		}
	}
	program := args[0]
	if argv0, ok := given['b']; ok {
		args = append([]string{argv0}, args[1:]...)
	}
	return p.become(program, args)
}

// move goes to the root and the directory that were given; the directory is one
// in that root.
func (p *process) move(given map[byte]string) error {
	if root, ok := given['/']; ok {
		if err := unix.Chdir(root); err != nil {
			return p.fatal("cannot go there", &fs.PathError{Op: "chdir", Path: root, Err: err})
		}
		if err := unix.Chroot("."); err != nil {
			return p.fatal("cannot change the root", &fs.PathError{Op: "chroot", Path: root, Err: err})
		}
	}
	if dir, ok := given['C']; ok {
		if err := unix.Chdir(dir); err != nil {
			return p.fatal("cannot go there", &fs.PathError{Op: "chdir", Path: dir, Err: err})
		}
	}
	return nil
}

// renice adds to this thread's nice value, which the program that it becomes
// will have.
func renice(by int) error {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	// The kernel answers with 20 minus the value.
	return unix.Setpriority(unix.PRIO_PROCESS, 0, max(-20, min(20-now+by, 19)))
}

func pgrphack(p *process, args []string) error {
	if len(args) == 0 {
		return p.usage("")
	}
	unix.Setsid() // fails for who leads a group already
	return p.become(args[0], args)
}
