package runit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/superdir"
)

// view is what a supervisor says of a service.
type view struct {
	superdir.Status
	normallyUp bool
}

// supervisor is who runs a service: hotsvc, or one that left its supervise/.
type supervisor interface {
	look() (view, error)
	tell(letters string) error
	logger() (supervisor, error) // nil: it has none
}

// trouble is why a service cannot be asked or told.
type trouble struct {
	kind string // fail or warning
	text string
}

func (t *trouble) Error() string { return t.text }

// errDead: nobody supervises the directory.
var errDead = &trouble{"fail", "runsv not running"}

func warning(what string, err error) *trouble { return &trouble{"warning", what + ": " + reason(err)} }

// reasons are the errors that scripts may look for, in runit's words.
var reasons = map[unix.Errno]string{
	unix.ENOENT: "file does not exist", unix.EACCES: "access denied", unix.EPERM: "permission denied", unix.ENXIO: "device not configured",
}

func reason(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	if text := reasons[errno]; text != "" {
		return text
	}
	return errno.Error()
}

// directory is a service directory that says through its supervise/ how it is.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// alive tells whether somebody supervises the directory: he reads `ok`.
func (d directory) alive() error {
	fd, err := unix.Open(d.path("supervise/ok"), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func (d directory) look() (view, error) {
	switch err := d.alive(); {
	case err == unix.ENXIO:
		return view{}, errDead
	case err != nil:
		return view{}, warning("unable to open supervise/ok", err)
	}
	b, err := os.ReadFile(d.path("supervise/status"))
	if err != nil {
		return view{}, warning("unable to open supervise/status", err)
	}
	s, err := superdir.Decode(b)
	if err != nil {
		return view{}, &trouble{"warning", "unable to read supervise/status: bad format"}
	}
	return view{s, normallyUp(string(d))}, nil
}

// normallyUp is what the file `down` says, now.
func normallyUp(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "down"))
	return err != nil
}

// tell writes commands. They are written whatever is wanted now: what the status
// says may be on its way to being something else.
func (d directory) tell(letters string) error {
	fd, err := unix.Open(d.path("supervise/control"), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == unix.ENXIO:
		return errDead
	case err != nil:
		return warning("unable to open supervise/control", err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(letters)); err != nil {
		return warning("unable to write to supervise/control", err)
	}
	return nil
}

func (d directory) logger() (supervisor, error) {
	log := d.path("log")
	info, err := os.Stat(log)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, nil
	case err != nil:
		return nil, warning("unable to change directory", err)
	case !info.IsDir() && info.Size() == 0: // says that there is to be none
		return nil, nil
	case !info.IsDir():
		return nil, warning("unable to change directory", unix.ENOTDIR)
	}
	return directory(log), nil
}

// checked tells whether the service's own check finds it well. It has until then.
func checked(dir string, until time.Time) bool {
	script := filepath.Join(dir, "check")
	if _, err := os.Stat(script); dir == "" || err != nil {
		return true
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./check")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	return cmd.Run() == nil
}
