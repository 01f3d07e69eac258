package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"unicode"
)

// lines is a slog.Handler for people and for svlogd: time, level where it is
// not info, and the message; one line, whatever the message has in it.
type lines struct {
	mu    *sync.Mutex
	w     io.Writer
	level *slog.LevelVar
	attrs string
}

func newLog(w io.Writer) (*slog.Logger, func(string) error) {
	level := &slog.LevelVar{}
	set := func(name string) error {
		if err := level.UnmarshalText([]byte(name)); err != nil {
			return fmt.Errorf("%q is no level: error, warn, info or debug", name)
		}
		return nil
	}
	return slog.New(&lines{mu: &sync.Mutex{}, w: w, level: level}), set
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.Format("2006-01-02T15:04:05.000Z07:00 "))
	if r.Level != slog.LevelInfo {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	b.WriteString(l.attrs)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.w, oneLine(b.String())+"\n")
	return err
}

// oneLine makes text harmless: a name from the kernel must neither make a line
// of its own nor be obeyed by a terminal.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *l
	for _, a := range attrs {
		next.attrs += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return &next
}

func (l *lines) WithGroup(string) slog.Handler { return l }
