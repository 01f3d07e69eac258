package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether a person looks at what is written there.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// width is how many characters fit in a line; 0 means any number.
func width(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(w.(*os.File).Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// cut shortens a line to the width, if that is known.
func cut(s string, width int) string {
	if width <= 1 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// clean makes text from outside harmless on a terminal: names of networks and
// volumes may hold anything.
func clean(s string) string {
	if !strings.ContainsFunc(s, unprintable) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Colours, as SGR codes.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// colour tells whether the output may have colours.
func (a *app) colour() bool {
	return !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(a.out)
}

// paint colours text, where there are colours.
func (a *app) paint(code, text string) string {
	if code == plain || text == "" || !a.colour() {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// cell is one field of a table.
type cell struct {
	text  string
	paint string
}

// table prints rows with aligned columns. The last column is cut where the
// terminal ends.
func (a *app) table(header []string, rows [][]cell) {
	head := make([]cell, len(header))
	for i, h := range header {
		head[i] = cell{h, bold}
	}
	rows = append([][]cell{head}, rows...)
	widths := make([]int, len(header))
	for _, row := range rows {
		for i := range row {
			row[i].text = clean(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	room := width(a.out)
	for _, row := range rows {
		var line strings.Builder
		used := 0
		for i, c := range row {
			if i == len(row)-1 {
				text := c.text
				if room > used+8 {
					text = cut(text, room-used)
				}
				line.WriteString(a.paint(c.paint, text))
				break
			}
			pad := widths[i] - utf8.RuneCountInString(c.text) + 2
			line.WriteString(a.paint(c.paint, c.text) + strings.Repeat(" ", pad))
			used += widths[i] + 2
		}
		fmt.Fprintln(a.out, strings.TrimRight(line.String(), " "))
	}
}

// ago is how long that is in the past, short enough for a column.
func (a *app) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(a.now().Sub(t))
}

// short is a duration with one unit, and a second one where that tells more.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(big, small time.Duration, format string) string {
		return fmt.Sprintf(format, d/big, d%big/small)
	}
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute:
		return two(time.Minute, time.Second, "%dm%02ds")
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 10*time.Hour:
		return two(time.Hour, time.Minute, "%dh%02dm")
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 10*day:
		return two(day, time.Hour, "%dd%02dh")
	}
	return fmt.Sprintf("%dd", d/day)
}

// stamp is a moment on the clock, with its day unless that is today.
func (a *app) stamp(t time.Time, fraction string) string {
	t, layout := t.Local(), "15:04:05"+fraction
	if t.Format(time.DateOnly) != a.now().Local().Format(time.DateOnly) {
		layout = "2006-01-02 " + layout
	}
	return t.Format(layout)
}

// when is a moment with its distance: "10:31:02 (2m03s ago)".
func (a *app) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if t.After(a.now()) {
		return a.stamp(t, "") + " (in " + a.left(t) + ")"
	}
	return a.stamp(t, "") + " (" + a.ago(t) + " ago)"
}

// left is how long it is until then.
func (a *app) left(t time.Time) string { return short(t.Sub(a.now()) + time.Second - 1) }

// list is names as a sentence has them.
func list(names []string) string { return strings.Join(names, ", ") }

// colon puts a reason behind what it is the reason for.
func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// many is a number with its word: "1 problem", "3 problems".
func many(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
