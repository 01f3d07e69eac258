package svlog

import (
	"encoding/hex"
	"strconv"
	"time"
)

// Stamp is the form of the time before each line.
type Stamp int

// The forms. All are UTC and end with a space; as text, all but None sort by
// time.
const (
	RFC3339 Stamp = iota // 2026-01-31T23:59:59.123456Z
	None                 // no time
	TAI64N               // @4000000069a1b2c31a2b3c4d, svlogd -t
	Human                // 2026-01-31_23:59:59.12345, svlogd -tt
	ISO                  // 2026-01-31T23:59:59.12345, svlogd -ttt
)

// tai is the label of 1970-01-01 00:00:00 UTC, as runit and daemontools count:
// ten seconds ahead, and no leap seconds after that.
const tai = 1<<62 + 10

// Append adds t in the form s to dst, with the space after it.
func (s Stamp) Append(dst []byte, t time.Time) []byte {
	t = t.UTC()
	switch s {
	case RFC3339:
		return append(date(dst, t, 'T', t.Nanosecond()/1e3, 6), 'Z', ' ')
	case TAI64N:
		return append(label(dst, t), ' ')
	case Human:
		return append(date(dst, t, '_', t.Nanosecond()/1e4, 5), ' ')
	case ISO:
		return append(date(dst, t, 'T', t.Nanosecond()/1e4, 5), ' ')
	default:
		return dst
	}
}

func date(dst []byte, t time.Time, between byte, fraction, digits int) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(number(dst, year, 4), '-')
	dst = append(number(dst, int(month), 2), '-')
	dst = append(number(dst, day, 2), between)
	dst = append(number(dst, hour, 2), ':')
	dst = append(number(dst, minute, 2), ':')
	dst = append(number(dst, second, 2), '.')
	return number(dst, fraction, digits)
}

// number adds the last digits of n.
func number(dst []byte, n, digits int) []byte {
	var b [8]byte
	for i := digits - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, b[:digits]...)
}

const labelLen = 1 + 24

// label adds the TAI64N label of t: '@' and 24 hex digits.
func label(dst []byte, t time.Time) []byte {
	return hexLabel(dst, uint64(t.Unix()+tai), uint32(t.Nanosecond()))
}

func hexLabel(dst []byte, seconds uint64, nanos uint32) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '@')
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[seconds>>shift&15])
	}
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, digits[nanos>>shift&15])
	}
	return dst
}

// scanLabel reads what hexLabel wrote at the beginning of b.
func scanLabel(b []byte) (seconds uint64, nanos uint32, ok bool) {
	var raw [12]byte
	if len(b) < labelLen || b[0] != '@' {
		return 0, 0, false
	}
	if _, err := hex.Decode(raw[:], b[1:labelLen]); err != nil {
		return 0, 0, false
	}
	for _, c := range raw[:8] {
		seconds = seconds<<8 | uint64(c)
	}
	for _, c := range raw[8:] {
		nanos = nanos<<8 | uint32(c)
	}
	return seconds, nanos, seconds < 1<<63 && nanos < 1e9
}

// after returns a label that is greater than the given one, which is valid.
func after(l string) string {
	seconds, nanos, _ := scanLabel([]byte(l))
	if nanos++; nanos == 1e9 {
		seconds, nanos = seconds+1, 0
	}
	return string(hexLabel(nil, seconds, nanos))
}

// ParseStamp takes the time off a line, whichever of the forms it has; rest is
// what follows the space. Without a stamp, ok is false and rest is the line.
func ParseStamp(line []byte) (t time.Time, rest []byte, ok bool) {
	n := labelLen
	if seconds, nanos, is := scanLabel(line); is {
		t = time.Unix(int64(seconds-tai), int64(nanos))
	} else if t, n, is = scanDate(line); !is {
		return time.Time{}, line, false
	}
	switch {
	case n == len(line):
		return t, nil, true
	case line[n] == ' ':
		return t, line[n+1:], true
	default:
		return time.Time{}, line, false
	}
}

// scanDate reads a date and a time of day with a fraction of a second; without a
// zone it is UTC.
func scanDate(b []byte) (t time.Time, n int, ok bool) {
	const form = "0000-00-00_00:00:00."
	if len(b) <= len(form) {
		return t, 0, false
	}
	for i, f := range []byte(form) {
		switch {
		case f == '0' && digit(b[i]), f == b[i], f == '_' && b[i] == 'T':
		default:
			return t, 0, false
		}
	}
	part := func(from, to int) int {
		v, _ := strconv.Atoi(string(b[from:to]))
		return v
	}
	year, month, day := part(0, 4), part(5, 7), part(8, 10)
	hour, minute, second := part(11, 13), part(14, 16), part(17, 19)
	nanos, unit := 0, int(1e8)
	for n = len(form); n < len(b) && digit(b[n]); n++ {
		nanos, unit = nanos+int(b[n]-'0')*unit, unit/10
	}
	if n < len(b) && b[n] == 'Z' {
		n++
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	same := t.Month() == time.Month(month) && t.Day() == day && t.Hour() == hour && t.Minute() == minute
	return t, n, same && n > len(form) && digit(b[len(form)])
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
