package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/supervise"
	"hotsvc/internal/trust"
)

// An upgrade is a crash with some descriptors kept. The new program is asked
// first whether it can read what there is; then this one lets go of everything
// as for SIGUSR1 and becomes the new one. The pid stays, so children are still
// children; the lock and the listening socket stay, so nobody else gets in and
// no client is turned away; the log FIFOs stay, so what a service says and then
// ends is not lost. All else is adopted as after a crash, which is tested the
// most.

// inheritEnv names the descriptors that the image before this one kept:
// "lock=7 control=9 output=12 output=13".
const inheritEnv = "HOTSVC_INHERIT"

// signalsEnv has the numbers of the signals that came to the image before this
// one when it had no time for them any more: "1 15".
const signalsEnv = "HOTSVC_SIGNALS"

// inheritance takes what an image before this one kept, by name. It comes before
// anything is opened here: else the number of a descriptor that was not kept after
// all could be that of the runtime's own eventfd, which would be closed as a
// stranger's, and what has the number next, a log, would get the wake-ups.
func inheritance() map[string][]*os.File {
	text := os.Getenv(inheritEnv)
	os.Unsetenv(inheritEnv)
	open := map[int]string{}
	for _, word := range strings.Fields(text) {
		name, number, _ := strings.Cut(word, "=")
		fd, err := strconv.Atoi(number)
		if _, stale := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err == nil && stale == nil {
			open[fd] = name
		}
	}
	kept := map[string][]*os.File{}
	for fd, name := range open {
		kept[name] = append(kept[name], os.NewFile(uintptr(fd), name))
	}
	if text != "" { // the kernel has named us after the descriptor; pgrep is to find us as before
		os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	}
	return kept
}

// inheritedSignals are heeded as if they had come to this image.
func inheritedSignals() (came []os.Signal) {
	for _, word := range strings.Fields(os.Getenv(signalsEnv)) {
		if n, err := strconv.Atoi(word); err == nil {
			came = append(came, syscall.Signal(n))
		}
	}
	os.Unsetenv(signalsEnv)
	return came
}

// theLock is the run directory's, kept or taken.
func theLock(runDir string, kept map[string][]*os.File) (*os.File, error) {
	if f := kept["lock"]; f != nil {
		return f[0], nil
	}
	return supervise.Lock(runDir)
}

// listen has the control socket, kept or made.
func listen(path string, group int, kept map[string][]*os.File) (*net.UnixListener, error) {
	if f := kept["control"]; f != nil {
		return control.Inherit(f[0])
	}
	return control.Listen(path, group)
}

// upgrade finds out whether another program can go on from here, and has the
// daemon do so: when what it returns is called, for the caller is told before.
func (d *daemon) upgrade(ctx context.Context, binary string) (proceed func(), err error) {
	next, err := examine(ctx, binary)
	if err != nil {
		return nil, err
	}
	select {
	case d.upgrades <- next:
		return func() { close(next.answered) }, nil
	case <-d.ending:
		err = errors.New("upgrade refused: the daemon stops all services, and then ends: start the new program after that")
	case <-d.ctx.Done():
		err = fmt.Errorf("upgrade refused: %w", errGoing)
	}
	next.file.Close()
	return nil, err
}

var errGoing = errors.New("the daemon is going already: ask the next one")

// bequeath makes the environment of the next image, with the signals that nobody
// has heeded, and keeps the descriptors open for it.
func bequeath(kept map[string][]*os.File, signals <-chan os.Signal) ([]string, error) {
	var words []string
	for name, files := range kept {
		for _, f := range files {
			if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
				return nil, fmt.Errorf("upgrade: %s: %w", name, err)
			}
			words = append(words, fmt.Sprintf("%s=%d", name, f.Fd()))
		}
	}
	env := append(os.Environ(), inheritEnv+"="+strings.Join(words, " "))
	var came []string
	for {
		select {
		case s := <-signals:
			came = append(came, strconv.Itoa(int(s.(syscall.Signal))))
		default:
			return append(env, signalsEnv+"="+strings.Join(came, " ")), nil
		}
	}
}

// successor is a program that was found fit to go on.
type successor struct {
	file     *os.File
	path     string
	answered chan struct{} // closed when who asked for it knows
}

// image is where the program is run from: the file that was looked at, whatever
// happens to its name. It is closed as it is run. Hence what another program has
// to read (a script its shell, a foreign binary its emulator) does not run.
func (s *successor) image() string { return fmt.Sprintf("/proc/self/fd/%d", s.file.Fd()) }

const (
	// checkPatience is how long a new program may take to read what there is.
	checkPatience = 10 * time.Second

	// fitLine is what --check-state prints where a program can go on from here.
	// Every hotsvc to come must print it, first and to the letter: whatever runs
	// today asks for this line, and takes what does not print it for something
	// else.
	fitLine = "hotsvc can go on from here"
)

// examine opens a program, and asks it whether it can go on from here. It is run
// just as it is run later, when nothing is left here to fall back on.
func examine(ctx context.Context, path string) (*successor, error) {
	if path == "" {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("upgrade refused: own program: %w: name the new one", err)
		}
		path = strings.TrimSuffix(own, " (deleted)") // a package manager has put another in its place
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not keep us
	if err != nil {
		return nil, fmt.Errorf("upgrade refused: %s: %w: name the new hotsvc", path, errors.Unwrap(err))
	}
	s := &successor{f, path, make(chan struct{})}
	if err = trusted(f); err == nil {
		err = s.answers(ctx)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("upgrade refused: %w", err)
	}
	return s, nil
}

// answers asks a program --check-state, and returns why it is not to be.
func (s *successor) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, s.image())
	cmd.Args = append(os.Args[:len(os.Args):len(os.Args)], "--check-state")
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = time.Second // for what it leaves behind it with our pipes
	switch err := cmd.Start(); {
	case ctx.Err() == context.Canceled:
		return errGoing
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s: %w: name a hotsvc that is whole, and built for %s", s.path, syscall.ENOEXEC, runtime.GOARCH)
	case err != nil:
		return fmt.Errorf("%s does not start: %w: ask again, or name another", s.path, err)
	}
	err := cmd.Wait()
	why := oneLine(strings.ReplaceAll(strings.TrimSpace(complaint.String()), "\n", "; "))
	switch {
	case ctx.Err() == context.Canceled:
		return errGoing
	case ctx.Err() != nil:
		return fmt.Errorf("%s has not answered --check-state in %v: name a hotsvc, or ask again when there is less to do", s.path, checkPatience)
	case err != nil && why != "":
		return fmt.Errorf("%s says: %s", s.path, why)
	case err != nil || !strings.HasPrefix(out.String(), fitLine+"\n"):
		return fmt.Errorf("%s does not answer --check-state as hotsvc does: name a hotsvc", s.path)
	}
	return nil
}

// trusted refuses what is no program, and one that others could have written.
func trusted(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return fmt.Errorf("%s is a directory, no program: name the new hotsvc itself", f.Name())
	case !mode.IsRegular():
		return fmt.Errorf("%s is no regular file, so no program: name the new hotsvc itself", f.Name())
	case mode&0o111 == 0:
		return fmt.Errorf("%s may not be executed (mode %04o): chmod +x %s", f.Name(), mode.Perm(), f.Name())
	}
	if err := trust.New().File(f.Name()); err != nil {
		return err
	}
	magic := make([]byte, 4)
	n, err := f.ReadAt(magic, 0)
	switch magic := string(magic[:n]); {
	case err != nil && err != io.EOF:
		return err
	case strings.HasPrefix(magic, "#!"):
		return fmt.Errorf("%s is a script: name the program that it runs", f.Name())
	case magic != "\x7fELF":
		return fmt.Errorf("%s is no ELF program: name the new hotsvc itself", f.Name())
	}
	return nil
}

// checkState is --check-state: whether this program can go on from what another
// left, and from the files as they are. It changes nothing.
func checkState(l *layout.Layout, w io.Writer) int {
	conf, problems := l.Reload(nil)
	for _, p := range problems {
		if conf == nil && !p.Warning {
			fmt.Fprintln(w, p)
		}
	}
	if conf == nil {
		return exitProblem
	}
	records, global, err := supervise.ReadRecords(l.RunDir)
	if err == nil {
		err = errors.Join(engine.CheckRecords(records, global), supervise.CheckTrees(l.RunDir))
	}
	if err != nil {
		fmt.Fprintln(w, err)
		return exitProblem
	}
	return 0
}

// become replaces this program by the next. It does not return, but for an error
// after which there is nothing to go on with: then it tries its own program.
func (s *successor) become(lock *os.File, listener *net.UnixListener, outputs []*os.File, signals <-chan os.Signal, log *slog.Logger) error {
	// Until the next image listens, these would end it.
	signal.Ignore(syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	socket, err := listener.File()
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	kept := map[string][]*os.File{"lock": {lock}, "control": {socket}, "output": outputs}
	env, err := bequeath(kept, signals)
	if err != nil {
		return err
	}
	log.Info("goes on as " + s.path)
	err = syscall.Exec(s.image(), os.Args, env)
	log.Error("upgrade: cannot become "+s.path+", goes on as before", "err", err)
	err = errors.Join(err, syscall.Exec("/proc/self/exe", os.Args, env))
	runtime.KeepAlive(kept) // only their numbers are used above, and the collector closes what nobody has
	return err
}
