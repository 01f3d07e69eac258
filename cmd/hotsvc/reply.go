package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// reply hands an answer to whoever asked.
func (d *daemon) reply(r engine.Reply) {
	switch r.ID {
	case shutdownCall:
		if r.Error != "" {
			d.log.Warn(r.Error)
		}
		go func() {
			d.face.Settle() // others are to read that all is down
			close(d.stopped)
		}()
	case faceCall:
		d.face.Deliver(r)
	default:
		d.server.Deliver(r)
	}
}

// finish adds to a report what cannot be promised here, and the last lines of a
// log. It runs in the caller's own connection.
func (d *daemon) finish(value any) any {
	report, ok := value.(status.Report)
	if !ok {
		return value
	}
	report.Degraded = append(report.Degraded, d.super.Degraded()...)
	for i := range report.Services {
		path := d.logPath(report.Services[i].Name)
		if _, err := os.Stat(path); err == nil {
			report.Services[i].Log = &path
		}
	}
	if len(report.Services) == 1 && report.Services[0].Log != nil {
		report.Services[0].LogTail = tail(*report.Services[0].Log)
	}
	return report
}

// tailSize is how much of a log is looked at for its last lines.
const tailSize = 4096

// tail returns the last lines of a file, ten at most.
func tail(path string) []string {
	out := []string{}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO put there must not hold up the caller
	if err != nil {
		return out
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return out
	}
	from := max(0, info.Size()-tailSize)
	b, err := io.ReadAll(io.NewSectionReader(f, from, tailSize))
	if err != nil {
		return out
	}
	if from > 0 {
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	for _, line := range lines[max(0, len(lines)-10):] {
		if line != "" {
			out = append(out, strings.ToValidUTF8(line, "?"))
		}
	}
	return out
}
