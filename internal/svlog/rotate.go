package svlog

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Turn rotates current where that is due, by size or by age, and a line has
// ended; in a line without end, at twice MaxSize.
func (d *Dir) Turn(now time.Time) error {
	if now.Before(d.born) { // the clock went back
		d.born = now
	}
	old := d.c.age > 0 && now.Sub(d.born) >= d.c.age
	large := d.c.size > 0 && d.size >= d.soft()
	cut := d.c.size > 0 && d.size >= 2*d.c.size
	if (old || large) && (!d.tail || cut) {
		return d.Rotate(now)
	}
	return nil
}

// Due is when Turn has to be called for the age of current; zero: never.
func (d *Dir) Due() time.Time {
	if d.c.age == 0 || d.size == 0 {
		return time.Time{}
	}
	return d.born.Add(d.c.age)
}

// soft is the size from which on the end of a line ends the file.
func (d *Dir) soft() int64 {
	if soft := d.c.size - int64(d.o.LineLen); soft >= 0 {
		return soft
	}
	return d.c.size
}

// Put writes what Render returned and rotates on the way, so that no file is ever
// longer than MaxSize, even if a line has to be cut for it, as svlogd does. It
// hands errors to Options.Warn.
func (d *Dir) Put(out []byte, now time.Time) {
	for len(out) > 0 {
		n := len(out)
		if d.c.size > 0 {
			if d.size >= d.c.size {
				if err := d.Rotate(now); err != nil {
					d.warn(err)
				}
			}
			n = d.piece(out)
		}
		if err := d.Write(out[:n]); err != nil {
			d.lose(out[n:])
			d.warn(err)
			return
		}
		out = out[n:]
		if err := d.Turn(now); err != nil {
			d.warn(err)
		}
	}
}

// piece is how much of out still goes into this file.
func (d *Dir) piece(out []byte) int {
	room := int(min(d.c.size-d.size, int64(len(out))))
	if room <= 0 { // it could not be rotated
		return len(out)
	}
	from := int(min(max(d.soft()-d.size-1, 0), int64(room)))
	if i := bytes.IndexByte(out[from:room], '\n'); i >= 0 {
		return from + i + 1
	}
	return room
}

// Rotate gives current, if it is not empty, its name among the rotated files and
// begins a new one; more than Options.Keep, the oldest go. If that is not
// possible, the old one is gone on with.
func (d *Dir) Rotate(now time.Time) error {
	if d.size == 0 {
		return nil
	}
	ext := byte('s')
	if d.processor != nil {
		ext = 'u'
	}
	name, err := d.next(now, ext)
	if err == nil {
		err = d.seal()
	}
	if err == nil {
		err = d.root.Rename("current", name)
	}
	if err == nil {
		at, size := d.line, d.size
		if err = d.current(); err != nil {
			d.root.Rename(name, "current")
			d.file.Chmod(modeOpen)
		} else {
			d.line = at
			d.info("rotate: %s/current is %s, %d bytes", d.path, name, size)
		}
	}
	if err != nil {
		return fmt.Errorf("log directory %s: rotate: %w", d.path, err)
	}
	d.thin()
	if d.processor != nil {
		d.processor.poke()
	}
	return nil
}

// next is a name for what current has been so far: the time, but later than that
// of all others, so that their order is true even if the clock went back.
func (d *Dir) next(now time.Time, ext byte) (string, error) {
	name := string(label(nil, now))
	all, err := readNames(d.root.FS())
	if err != nil {
		return "", err
	}
	for _, n := range all {
		if n[:labelLen] >= name {
			name = after(n[:labelLen])
		}
	}
	return name + "." + string(ext), nil
}

// olds returns the names of the rotated files, the oldest first.
func (d *Dir) olds() ([]string, error) {
	all, err := readNames(d.root.FS())
	return slices.DeleteFunc(all, func(n string) bool { return n[labelLen+1] == 't' }), err
}

// thin deletes the oldest files of too many, but never the newest: two, so that
// the number goes down to a smaller Keep in time, but a slip in the
// configuration costs little.
func (d *Dir) thin() {
	for range 2 {
		olds, err := d.olds()
		if err != nil {
			d.warn(fmt.Errorf("log directory %s: %w", d.path, err))
			return
		}
		if d.c.keep == 0 || len(olds) <= d.c.keep {
			return
		}
		if d.processor != nil {
			d.processor.settle(olds[0])
		}
		if olds, _ = d.olds(); len(olds) == 0 || !d.takeOldest(olds[:len(olds)-1], "more than enough") {
			return
		}
	}
}

// takeOldest deletes the oldest file that the processor has not before it.
func (d *Dir) takeOldest(olds []string, why string) bool {
	for _, name := range olds {
		if d.processor != nil && d.processor.isBusy(name) {
			continue
		}
		if err := d.root.Remove(name); err != nil {
			d.warn(fmt.Errorf("log directory %s: delete the oldest file: %w", d.path, err))
			return false
		}
		d.info("%s: deleted %s/%s", why, d.path, name)
		return true
	}
	return false
}
