package svlog

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Render makes from raw input what is to be appended to current: each line that
// begins gets stamp and prefix, and those that the configuration does not want
// are left out. It remembers whether a line is open, so input may end anywhere;
// but what there is of a line when it begins is all that patterns ever see of it.
// If lines were dropped, the result begins with a line that says how many; it is
// all of the result when raw is empty. The result is valid until the next call.
func (d *Dir) Render(raw []byte, now time.Time) []byte {
	out := d.buf[:0]
	d.head = append(d.o.Stamp.Append(d.head[:0], now), d.c.prefix...)
	if d.lost > 0 {
		out = d.appendNote(out)
	}
	d.note = len(out)
	for len(raw) > 0 {
		text, rest, ended := raw, raw[len(raw):], false
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			text, rest, ended = raw[:i], raw[i+1:], true
		}
		switch d.line {
		case first:
			out = d.appendFirst(out, text)
		case inside:
			out = d.appendText(out, text)
		}
		if ended {
			if d.line == inside {
				out = append(out, '\n')
			}
			d.line = first
		}
		raw = rest
	}
	d.buf = out
	return out
}

// appendFirst adds the beginning of a line, unless it is not wanted.
func (d *Dir) appendFirst(out, text []byte) []byte {
	start := len(out)
	out = append(out, d.head...)
	from := len(out)
	out = d.appendText(out, text)
	d.line = inside
	if d.c.rules == nil && d.udp == nil {
		return out
	}
	to := min(len(out), from+d.o.LineLen)
	selected, alert := judge(d.c.rules, out[from:to])
	if alert && d.o.Alert != nil {
		d.o.Alert.Write(d.message(out[start:to], to-from))
	}
	if selected && d.udp != nil {
		message := d.message(out[start:to], to-from)
		if err := d.udp.send(message); err != nil {
			d.warn(fmt.Errorf("log directory %s: %w", d.path, err))
			out = append(out[:start], "warning: failure sending through udp: "...)
			out = append(out, message...)
			start = len(out)
			out = d.appendText(append(out, d.head...), text)
		}
		selected = !d.c.udpOnly
	}
	if !selected {
		out, d.line = out[:start], ignored
	}
	return out
}

// message is what leaves the directory of a line: no more than LineLen of its text.
func (d *Dir) message(line []byte, text int) []byte {
	end := "\n"
	if text == d.o.LineLen {
		end = "...\n"
	}
	return append(bytes.Clone(line), end...)
}

// appendText adds text with the bytes replaced that are to be.
func (d *Dir) appendText(out, text []byte) []byte {
	from := len(out)
	out = append(out, text...)
	if d.o.Replace != nil {
		for i, c := range out[from:] {
			out[from+i] = d.o.Replace[c]
		}
	}
	return out
}

// appendNote adds the line that tells of dropped ones. What is left in current
// of a line that could not be finished is ended first.
func (d *Dir) appendNote(out []byte) []byte {
	if d.tail {
		out = append(out, '\n')
	}
	out = append(out, d.head...)
	lines, why := "lines", "disk full"
	if d.lost == 1 {
		lines = "line"
	}
	if !isFull(d.why) {
		why = d.why.Error()
	}
	return fmt.Appendf(out, "%d %s dropped: %s\n", d.lost, lines, why)
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
