package chpst

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// process is this one, on its way to becoming another.
type process struct {
	name    string // of the program that is at work
	path    string // $PATH as that program has found it
	err     io.Writer
	verbose bool
	env     []string       // what the program to be run will have
	limits  map[int]uint64 // soft limits by resource, still to be set
	self    os.FileInfo    // the file with hsctl; nil if unknown
}

func newProcess(err io.Writer) *process {
	self, _ := os.Stat("/proc/self/exe")
	return &process{err: err, env: os.Environ(), limits: map[int]uint64{}, self: self}
}

// start is one of the programs.
func (p *process) start(name string, args []string) error {
	p.name, p.path, p.verbose = name, "/bin:/usr/bin", false
	for _, v := range p.env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			p.path = path
		}
	}
	return member(name)(p, args)
}

// become runs a program in this process. It comes back only if it failed.
func (p *process) become(program string, argv []string) error {
	err := error(unix.ENOENT)
	for _, path := range p.candidates(program) {
		e := unix.Access(path, unix.X_OK)
		if e == nil {
			if p.starved() && p.isSelf(path) {
				if name := filepath.Base(argv[0]); member(name) != nil {
					return p.start(name, argv[1:])
				}
				p.warn("the limits of data and address space are too small for " + program + ": not set")
				delete(p.limits, unix.RLIMIT_DATA)
				delete(p.limits, unix.RLIMIT_AS)
			}
			e = p.exec(path, argv)
		}
		if e != unix.ENOENT {
			err = e
		}
		if err != unix.ENOENT && err != unix.EACCES && err != unix.EPERM {
			break
		}
	}
	if f, ok := err.(*failure); ok {
		return f
	}
	return p.fatal("cannot run it", &fs.PathError{Op: "exec", Path: program, Err: err})
}

// candidates are the paths where a program may be.
func (p *process) candidates(program string) []string {
	if strings.Contains(program, "/") {
		return []string{program}
	}
	var paths []string
	for dir := range strings.SplitSeq(p.path, ":") {
		if dir == "" {
			dir = "."
		}
		paths = append(paths, dir+"/"+program)
	}
	return paths
}

// enough is more than what a Go program needs to start, in data and in address
// space: with Go 1.26, 40 MB and 700 MB of them.
const enough = 4 << 30

// starved tells whether a Go program might not start with the limits to be set.
func (p *process) starved() bool {
	for _, r := range []int{unix.RLIMIT_DATA, unix.RLIMIT_AS} {
		if n, ok := p.limits[r]; ok && n < enough {
			return true
		}
	}
	return false
}

func (p *process) isSelf(path string) bool {
	info, err := os.Stat(path)
	return err == nil && p.self != nil && os.SameFile(info, p.self)
}

// exec sets the limits and runs a program; if it cannot, the limits are as they
// were. With them, Go's runtime may get no more memory and no more threads, for
// which it would end the process: so everything is made before, and one
// processor, which is busy here, leaves nothing else to run.
func (p *process) exec(path string, argv []string) error {
	path0, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(p.env)
	if err != nil {
		return err
	}
	syscall.Exec("", nil, nil) // puts back the limit of files, which Go has raised for itself
	changes, err := p.changes()
	if err != nil {
		return p.fatal("cannot read a limit", err)
	}
	runtime.GOMAXPROCS(1)
	done := 0
	for err == nil && done < len(changes) {
		if err = syscall.Setrlimit(changes[done].resource, &changes[done].to); err == nil {
			done++
		}
	}
	if err == nil {
		_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(path0)),
			uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0])))
		err = errno
	}
	for _, c := range changes[:done] {
		syscall.Setrlimit(c.resource, &c.from)
	}
	if done < len(changes) {
		return p.fatal("cannot set a limit", err)
	}
	return err
}

// fatal is the error of the program that is at work.
func (p *process) fatal(what string, err error) error {
	return &failure{statusFailed, fmt.Sprintf("%s: fatal: %s: %v", p.name, what, err)}
}

func (p *process) warn(what string) {
	if p.verbose {
		fmt.Fprintf(p.err, "%s: warning: %s\n", p.name, what)
	}
}
