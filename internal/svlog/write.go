package svlog

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Write appends what Render returned, at Size. When the disk is full the oldest
// rotated files go, down to MinKeep, and then Patience begins. If there is no
// room after that, whole lines stay as far as they fit, the others are dropped,
// counted, and told of by the next Render; the error is what the kernel said, and
// the caller may go on.
func (d *Dir) Write(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	if err := d.look(); err != nil {
		return d.drop(out, 0, err)
	}
	var until time.Time
	for done := 0; done < len(out); {
		// os.File.WriteAt does not tell of what it wrote before the disk was full.
		n, err := unix.Pwrite(int(d.file.Fd()), out[done:], d.size+int64(done))
		if err == nil {
			done += n
			continue
		}
		if err == unix.EINTR || isFull(err) && d.makeRoom() {
			continue
		}
		if until.IsZero() {
			until = time.Now().Add(d.o.Patience)
		}
		if d.stuck || !isFull(err) || !time.Now().Before(until) {
			return d.drop(out, done, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if d.note > 0 {
		d.lost, d.note, d.said = 0, 0, ""
	}
	d.size += int64(len(out))
	d.tail, d.stuck = out[len(out)-1] != '\n', false
	return nil
}

// drop gives up writing out, of which the first n bytes are in current.
func (d *Dir) drop(out []byte, n int, why error) error {
	whole := bytes.LastIndexByte(out[:n], '\n') + 1
	switch {
	case d.note > 0 && whole <= d.note: // at most the line that tells of earlier ones
		whole = 0
		out = out[d.note:]
	case d.note > 0:
		d.lost = 0
	}
	if whole > 0 {
		d.size, d.tail = d.size+int64(whole), false
	}
	d.note, d.why, d.stuck = 0, why, true
	d.lose(out[whole:])
	err := fmt.Errorf("log directory %s: lines are dropped: %w", d.path, why)
	if n > whole {
		if cut := d.file.Truncate(d.size); cut != nil {
			err = fmt.Errorf("%w; and cut current back: %w", err, cut)
		}
	}
	return err
}

// lose counts the lines of which any part is in out, and sees to it that what is
// still to come of the last does not appear as a line.
func (d *Dir) lose(out []byte) {
	d.lost += bytes.Count(out, []byte{'\n'})
	if len(out) > 0 && out[len(out)-1] != '\n' {
		d.lost++
	}
	if d.line == inside {
		d.line = ignored
	}
}

// Lost is how many lines were dropped that current does not tell of yet. While
// it is not 0 and nothing comes in, Write(Render(nil, now)) tells of them.
func (d *Dir) Lost() int { return d.lost }

// look meets what others did to current: one that was truncated goes on at its
// end, for one that was deleted there is a new one.
func (d *Dir) look() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(d.file.Fd()), &st); err != nil {
		return err
	}
	switch {
	case st.Nlink == 0:
		d.info("somebody deleted %s/current: a new one", d.path)
		at := d.line
		err := d.current()
		d.line = at
		return err
	case st.Size != d.size:
		at := d.line
		err := d.derive()
		d.line = at
		return err
	}
	return nil
}

// makeRoom deletes the oldest rotated file, if there are more than must stay.
func (d *Dir) makeRoom() bool {
	olds, err := d.olds()
	if err != nil || len(olds) <= d.c.minKeep {
		return false
	}
	return d.takeOldest(olds, "disk full")
}
