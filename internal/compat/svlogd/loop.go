package svlogd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/svlog"
)

// chunk is how many bytes are read at once; a smaller -b is not worth its calls.
const chunk = 64 << 10

// logger carries what it reads into directories.
type logger struct {
	o       *options
	stderr  io.Writer
	in      *os.File
	signals *os.File // a byte for each that came
	dirs    []*dir

	buf   []byte    // what is held back of a line that is not complete
	since time.Time // when that began to come
	long  bool      // the beginning of the line has been handed on
}

// dir is one of the command line's directories.
type dir struct {
	path string
	log  *svlog.Dir // nil: not usable now
}

// loop runs until the input ends or SIGTERM comes.
func (l *logger) loop() error {
	for {
		ready := []unix.PollFd{
			{Fd: int32(l.signals.Fd()), Events: unix.POLLIN},
			{Fd: int32(l.in.Fd()), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(ready, l.pause()); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		over, err := false, error(nil)
		if ready[0].Revents != 0 {
			over, err = l.signalled()
		}
		if ready[1].Revents != 0 && !over && err == nil {
			over = l.read()
		}
		if over {
			l.end()
			return nil
		}
		if err != nil {
			return err
		}
		l.tick()
	}
}

// pause is how many milliseconds nothing has to be done; -1: until something comes.
func (l *logger) pause() int {
	const long = time.Hour
	pause := long
	for _, d := range l.dirs {
		if d.log == nil {
			continue
		}
		if d.log.Lost() > 0 {
			pause = min(pause, time.Second)
		}
		if due := d.log.Due(); !due.IsZero() {
			pause = min(pause, max(time.Until(due), time.Second/100))
		}
	}
	if pause == long {
		return -1
	}
	return int(pause.Milliseconds())
}

// tick does what is due without input: old files, and the word on lost lines.
func (l *logger) tick() {
	now := time.Now()
	for _, d := range l.dirs {
		if d.log != nil {
			d.log.Put(d.log.Render(nil, now), now)
			if err := d.log.Turn(now); err != nil {
				l.o.Warn(err)
			}
		}
	}
}

// signalled answers one signal; over: it was SIGTERM.
func (l *logger) signalled() (over bool, err error) {
	var b [1]byte
	if _, err := l.signals.Read(b[:]); err != nil {
		return false, fmt.Errorf("signals: %w", err)
	}
	switch syscall.Signal(b[0]) {
	case syscall.SIGTERM:
		return true, nil
	case syscall.SIGHUP:
		return false, l.open()
	case syscall.SIGALRM:
		for _, d := range l.dirs {
			if d.log == nil {
				continue
			}
			if err := d.log.Rotate(time.Now()); err != nil {
				l.o.Warn(err)
			}
		}
	}
	return false, nil
}

// read takes what has come and hands on the lines that are complete, and of the
// last as soon as patterns see no more of it; over: the input has ended.
func (l *logger) read() (over bool) {
	held := len(l.buf)
	n, err := l.in.Read(l.buf[held:cap(l.buf)])
	if n == 0 {
		if err != nil && err != io.EOF {
			l.o.Warn(fmt.Errorf("standard input: %w", err))
		}
		return err == io.EOF
	}
	now := time.Now()
	data := l.buf[:held+n]
	if held == 0 {
		l.since = now
	} else if i := bytes.IndexByte(data[held:], '\n'); i >= 0 {
		l.hand(data[:held+i+1], l.since) // the line that was held has the time at which it began
		data, l.since = data[held+i+1:], now
	}
	if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		l.hand(data[:i+1], now)
		data, l.since, l.long = data[i+1:], now, false
	}
	if l.long || len(data) >= l.o.LineLen {
		l.hand(data, l.since)
		data, l.long = nil, true
	}
	l.buf = l.buf[:copy(l.buf[:cap(l.buf)], data)]
	return false
}

// end ends a last line that has no end.
func (l *logger) end() {
	if len(l.buf) > 0 || l.long {
		l.hand(append(l.buf, '\n'), l.since)
	}
}

// hand gives lines to all directories.
func (l *logger) hand(lines []byte, read time.Time) {
	for _, d := range l.dirs {
		if d.log != nil {
			d.log.Put(d.log.Render(lines, read), time.Now())
		}
	}
}
