package svlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a directory is kept. The zero value keeps one growing file of
// lines with RFC 3339 stamps.
type Options struct {
	Stamp    Stamp
	MaxSize  int64         // bytes at which `current` is rotated; 0: never
	LineLen  int           // bytes: a line that ends this close to MaxSize is the last in its file, and what patterns see of a line; 0: 1000
	Keep     int           // rotated files, beyond which a rotation takes the oldest; 0: all are kept
	MinKeep  int           // rotated files that stay when the disk is full
	MaxAge   time.Duration // at which `current` is rotated if it is not empty; 0: never
	Patience time.Duration // how long Write waits for room on a full disk before it drops lines, and a rotation for the processor before it deletes a file that it has not had

	Make   bool // make the directory, mode 0750, where it is missing
	Resume bool // go on after what a dead writer left; without it, that is put aside, as svlogd does
	Config bool // read the directory's own `config`, which may run programs in the caller's name

	Replace *[256]byte   // what each byte of a line becomes; nil: itself
	Alert   io.Writer    // gets the lines that `config` wants on stderr; nil: nobody
	Warn    func(error)  // hears of what went wrong and did not stop the log; from any goroutine; nil: nobody
	Info    func(string) // hears of rotations and deletions; from any goroutine; nil: nobody
}

// Dir is a log directory that is open for writing, and locked.
type Dir struct {
	path string
	o    Options
	c    config
	root *os.Root
	lock *os.File
	file *os.File // current

	size int64
	born time.Time // when the first line of current was written
	tail bool      // current does not end with a newline

	line place  // where in a line the next byte for Render is
	buf  []byte // what Render returns
	head []byte // stamp and prefix of this Render's lines

	lost  int    // lines dropped and not yet told of
	why   error  // of the drop
	note  int    // bytes at the beginning of buf that tell of the drop
	stuck bool   // the last Write dropped lines: the next does not wait
	said  string // the last complaint, which is made once

	processor *processor
	udp       *sender
}

// place says what the next byte of input is.
type place int

const (
	first   place = iota // of a line
	inside               // of a line that is in the directory
	ignored              // of a line that is not, or no longer
)

const (
	modeOpen   fs.FileMode = 0o644
	modeClosed fs.FileMode = 0o744 // the owner's x bit tells that the writer came to its end
)

// Open locks the directory and opens its `current`. The error names the
// directory; it is os.ErrNotExist where there is none and Options.Make is not
// set, and unix.EWOULDBLOCK where somebody else writes there.
func Open(path string, o Options) (*Dir, error) {
	return reopen(path, o, nil)
}

// reopen opens path; earlier is the processor that may be at work there.
func reopen(path string, o Options, earlier *processor) (*Dir, error) {
	d, err := open(path, o)
	if err == nil && d.c.processor != "" {
		if err = startProcessor(d, earlier); err != nil {
			d.release()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("log directory %s: %w", path, err)
	}
	return d, nil
}

func open(path string, o Options) (*Dir, error) {
	if o.Make {
		if err := os.MkdirAll(path, 0o750); err != nil {
			return nil, err
		}
	}
	if o.LineLen <= 0 {
		o.LineLen = 1000
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, o: o, root: root}
	if d.lock, err = root.OpenFile("lock", os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		if err = unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			err = fmt.Errorf("lock: %w: somebody else writes here", err)
		}
	}
	if err == nil {
		d.configure()
		err = d.begin()
	}
	if err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// configure takes the settings from Options and then from `config`.
func (d *Dir) configure() {
	d.c = config{size: d.o.MaxSize, keep: d.o.Keep, minKeep: d.o.MinKeep, age: d.o.MaxAge}
	if !d.o.Config {
		return
	}
	text, err := d.root.ReadFile("config")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		d.warn(fmt.Errorf("%s/config: %w; going on without it", d.path, err))
	default:
		for _, problem := range d.c.parse(d.path+"/config", text) {
			d.warn(problem)
		}
	}
	if d.c.udp.IsValid() {
		d.udp = newSender(d.c.udp)
	}
}

// begin opens current.
func (d *Dir) begin() error {
	switch st, err := d.root.Lstat("current"); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return fmt.Errorf("current: not a file")
	case st.Size() > 0 && st.Mode()&0o100 == 0 && !d.o.Resume:
		name, err := d.next(time.Now(), 'u')
		if err != nil {
			return err
		}
		if err := d.root.Rename("current", name); err != nil {
			return err
		}
		d.info("left behind: %s/current is %s", d.path, name)
		d.thin()
	}
	return d.current()
}

// current opens the file of that name, or makes it.
func (d *Dir) current() error {
	f, err := d.root.OpenFile("current", os.O_RDWR|os.O_CREATE, modeOpen)
	if err != nil {
		return err
	}
	if err := f.Chmod(modeOpen); err != nil {
		f.Close()
		return err
	}
	if d.file != nil {
		d.file.Close()
	}
	d.file = f
	d.born = time.Now()
	beginning := make([]byte, 64)
	if n, _ := f.ReadAt(beginning, 0); n > 0 {
		if t, _, ok := ParseStamp(beginning[:n]); ok && t.Before(d.born) {
			d.born = t
		}
	}
	return d.derive()
}

// derive reads from current how long it is and whether a line is open.
func (d *Dir) derive() error {
	st, err := d.file.Stat()
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if st.Size() > 0 {
		if _, err := d.file.ReadAt(last, st.Size()-1); err != nil {
			return err
		}
	}
	d.size, d.tail, d.line = st.Size(), last[0] != '\n', first
	if d.tail {
		d.line = inside
	}
	return nil
}

// Size is how many bytes `current` has.
func (d *Dir) Size() int64 { return d.size }

// Rewind cuts current back to size, where what a dead writer wrote only in part
// begins; what Render and Write remember of the line is read from the file again.
func (d *Dir) Rewind(size int64) error {
	err := d.derive()
	if err == nil && size < d.size {
		if err = d.file.Truncate(size); err == nil {
			err = d.derive()
		}
	}
	if err != nil {
		return fmt.Errorf("log directory %s: cut current back: %w", d.path, err)
	}
	return nil
}

// Reopen closes the directory and opens what has its name now, with the
// configuration as it is now. A processor at work goes on. After an error the
// Dir is closed.
func (d *Dir) Reopen() error {
	if err := d.finish(); err != nil {
		d.warn(err)
	}
	if d.processor != nil {
		d.processor.leave()
	}
	d.release()
	again, err := reopen(d.path, d.o, d.processor)
	if err == nil {
		*d = *again
	}
	return err
}

// Close tells of what was dropped, waits for the processor, at most until it has
// failed as often as it may, and lets go of the directory.
func (d *Dir) Close() error {
	err := d.finish()
	if d.processor != nil {
		d.processor.finish()
	}
	d.release()
	return err
}

// finish marks current as ended well.
func (d *Dir) finish() error {
	if err := d.Write(d.Render(nil, time.Now())); err != nil {
		return err
	}
	return d.seal()
}

// seal brings current to the disk and gives it the mode of a file that its
// writer has closed.
func (d *Dir) seal() error {
	err := d.file.Sync()
	if err == nil {
		err = d.file.Chmod(modeClosed)
	}
	if err != nil {
		return fmt.Errorf("log directory %s: current: %w", d.path, err)
	}
	return nil
}

// release closes whatever is open.
func (d *Dir) release() {
	if d.file != nil {
		d.file.Close()
	}
	if d.lock != nil {
		unix.Flock(int(d.lock.Fd()), unix.LOCK_UN) // a child between fork and exec has it, too
		d.lock.Close()
	}
	d.udp.close()
	d.root.Close()
}

func (d *Dir) info(format string, args ...any) {
	if d.o.Info != nil {
		d.o.Info(fmt.Sprintf(format, args...))
	}
}

// warn tells of err, but not of the same thing again and again.
func (d *Dir) warn(err error) {
	if text := err.Error(); d.o.Warn != nil && text != d.said {
		d.said = text
		d.o.Warn(err)
	}
}
