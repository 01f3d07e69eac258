package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
	"hotsvc/internal/svlog"
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
		path := filepath.Join(d.layout.ServiceLog(report.Services[i].Name), "current")
		if _, err := os.Stat(path); err == nil {
			report.Services[i].Log = &path
		}
	}
	if len(report.Services) == 1 && report.Services[0].Log != nil {
		report.Services[0].LogTail = tail(filepath.Dir(*report.Services[0].Log))
	}
	return report
}

const (
	tailLines = 10
	tailWidth = 1000 // bytes of a line
)

// tail returns the last lines of a log.
func tail(dir string) []string {
	out := []string{}
	r, err := svlog.OpenReader(dir, svlog.ReadOptions{Last: tailLines})
	if err != nil {
		return out
	}
	defer r.Close()
	for {
		line, err := r.Next(context.Background())
		if err != nil {
			return out
		}
		out = append(out, strings.ToValidUTF8(string(line[:min(len(line), tailWidth)]), "?"))
	}
}
