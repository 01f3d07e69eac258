package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"hotsvc/internal/control"
)

// recordSize is when a journal goes on in a new file: a day of an ordinary
// machine is a few megabytes.
const recordSize = 16 << 20

func (a *app) recordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "record FILE",
		Short: "Write down all that the daemon is told, for replay",
		Long: `Writes a journal until interrupted: what the daemon knows now, then everything
that it is told by the kernel, by processes and by people, and what it decided.
` + "`hsctl replay FILE`" + ` runs it again, on any machine. At 16 MiB it goes on in a new
file, and FILE.1 is the one before; each replays alone. A file that is being
recorded into is nobody else's to record into. The files are readable by
their owner only: the configuration is in them, and with it what secrets it has.
Environments are not.`,
		Example: `  hsctl record /tmp/flap.journal      then pull the cable, and ^C`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("record: into which file? `hsctl record FILE`")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.record(args[0], recordSize) },
	}
}

// brokeOff is why a journal has no more to come. It is no *control.Error, after
// which the next daemon would be asked to go on in the same file.
type brokeOff struct{ why error }

func (e *brokeOff) Error() string { return "the journal broke off: " + e.why.Error() }

// record follows the daemon from file to file, and from one daemon to the next.
func (a *app) record(file string, size int) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	last := func() {}
	defer func() { last() }()
	var before *os.File
	for files := 0; ; files++ {
		j := &journalFile{name: file, size: size, before: before, begun: make(chan struct{}), full: make(chan struct{}), done: make(chan error, 1)}
		one, cancel := context.WithCancel(ctx)
		broke := files > 0 // a daemon was there: another is waited for
		go func() {
			j.done <- control.Again(func() (bool, error) {
				reached := broke
				broke = false
				c, err := control.Dial(one, a.socketPath())
				if err != nil {
					return reached, err
				}
				defer c.Close()
				if err = c.Record(one, j.write); j.f != nil {
					err = &brokeOff{err} // what follows begins a file of its own
				}
				return reached, err
			})
		}()
		select {
		case <-j.begun:
		case err := <-j.done:
			cancel()
			return a.recorded(ctx, file, err)
		}
		last() // the new file has all from here on
		last, before = cancel, j.f
		if files == 0 {
			fmt.Fprintf(a.err, "hsctl: recording into %s until interrupted\n", file)
		}
		select {
		case <-j.full:
		case err := <-j.done:
			var off *brokeOff
			var failed *control.Error
			if ctx.Err() != nil || !errors.As(err, &off) {
				return a.recorded(ctx, file, err)
			}
			if !errors.As(off.why, &failed) || !failed.Lost {
				return a.recorded(ctx, file, off.why)
			}
		}
	}
}

// recorded is how a recording ends: that it was interrupted is its ordinary end.
func (a *app) recorded(ctx context.Context, file string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return usage("record: interrupted before anything was recorded")
	}
	fmt.Fprintf(a.err, "hsctl: recorded: `hsctl replay %s`\n", file)
	return nil
}

// journalFile takes the pieces of one journal.
type journalFile struct {
	name   string
	size   int
	before *os.File // ours, that this one follows; or nil
	f      *os.File // locked, so that nobody else moves it away
	got    int
	begun  chan struct{} // closed with the first piece
	full   chan struct{} // closed when it is time for another
	done   chan error
}

func (j *journalFile) write(text string) error {
	if j.f == nil {
		if err := j.open(); err != nil {
			return usage("record: %v: name another file", err)
		}
		close(j.begun)
	}
	if _, err := j.f.WriteString(text); err != nil {
		return usage("record: %v: what was recorded so far is in %s", err, j.name)
	}
	before := j.got
	if j.got += len(text); before < j.size && j.got >= j.size {
		close(j.full)
	}
	return nil
}

// open makes the file. One of the same name that may be there becomes the one
// before, unless somebody else is writing it.
func (j *journalFile) open() error {
	if err := j.setAside(); err != nil {
		return err
	}
	f, err := os.OpenFile(j.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := j.lock(f); err != nil {
		return err
	}
	j.f = f
	return nil
}

// journalMark begins every journal.
const journalMark = `{"journal":`

// openJournal opens a file that may be moved away or written over: an earlier
// journal, or an empty file. Whoever mistypes a name is to lose nothing else.
func openJournal(name string) (*os.File, error) {
	if info, err := os.Lstat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	mark := make([]byte, len(journalMark))
	if n, _ := f.ReadAt(mark, 0); n > 0 && string(mark) != journalMark {
		f.Close()
		return nil, fmt.Errorf("%s is there and is no journal", name)
	}
	return f, nil
}

func (j *journalFile) setAside() error {
	there, err := openJournal(j.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer there.Close()
	if older, err := openJournal(j.name + ".1"); err == nil {
		older.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err := there.Stat()
	if err != nil {
		return err
	}
	if !j.isOurs(info) {
		if err := j.lock(there); err != nil {
			return err
		}
		// Who held the lock until now may have put another file there.
		if now, err := os.Stat(j.name); err != nil || !os.SameFile(info, now) {
			return j.taken()
		}
	}
	return os.Rename(j.name, j.name+".1")
}

func (j *journalFile) isOurs(info os.FileInfo) bool {
	if j.before == nil {
		return false
	}
	ours, err := j.before.Stat()
	return err == nil && os.SameFile(ours, info)
}

func (j *journalFile) taken() error {
	return fmt.Errorf("another `hsctl record` is writing %s", j.name)
}

// lock makes a file ours until this process ends.
func (j *journalFile) lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return j.taken()
	}
	return err
}
