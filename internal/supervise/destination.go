package supervise

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hotsvc/internal/service"
	"hotsvc/internal/svlog"
)

// destination is where output goes.
type destination struct {
	To   string          `json:"to"` // as in service.Exec.Log, but not "none"
	File service.LogFile `json:"file"`
}

// destinationOf leaves out how files are kept where there are none.
func destinationOf(to string, file service.LogFile) destination {
	to = cmp.Or(to, toFile)
	if to != toFile {
		file = service.LogFile{}
	}
	return destination{to, cmp.Or(file, service.UsualLogFile)}
}

var usual = destination{toFile, service.UsualLogFile}

const (
	toFile   = "file"
	toSyslog = "syslog"
	toPipe   = "pipe:" // and the name of the service that reads
)

// direct has output go elsewhere, or be kept in another way. The lock is held.
func (o *outputs) direct(name string, e *output, to destination) error {
	if e.destination == to {
		return nil
	}
	if err := o.note(name, to); err != nil {
		return err
	}
	e.destination = to
	if e.pump != nil {
		e.pump.Renew()
	}
	return nil
}

// note is for the next daemon.
func (o *outputs) note(name string, to destination) error {
	if to == usual {
		os.Remove(o.path(name, "to"))
		return nil
	}
	text, err := json.Marshal(to)
	if err != nil {
		return err
	}
	return replace(o.path(name, "to"), text)
}

// keep has the logs that go to files kept as of says from now on, which does not
// know all services.
func (o *outputs) keep(of func(name string) (service.LogFile, bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, e := range o.all {
		if file, ok := of(name); ok {
			if err := o.direct(name, e, destinationOf(e.To, file)); err != nil {
				o.log.Error("log not kept in another way", "service", name, "err", err)
			}
		}
	}
}

// OpenSink opens where a pump is to write.
func (o *outputs) OpenSink(name string) (svlog.Sink, error) {
	o.mu.Lock()
	to := usual
	if e := o.all[name]; e != nil {
		to = e.destination
	}
	o.mu.Unlock()
	if to.To == toSyslog {
		return svlog.NewSyslog(o.syslog, name), nil
	}
	return svlog.Open(filepath.Join(o.logDir, service.FileName(name)), svlog.Options{
		MaxSize: to.File.MaxSize, Keep: to.File.Keep, MaxAge: to.File.MaxAge, Stamp: stamps[to.File.Stamp],
		Patience: diskPatience, Make: true, Resume: true,
		Warn: func(err error) { o.LostOutput(name, err) },
	})
}

// diskPatience is how long a service may have to wait for a full disk.
const diskPatience = 2 * time.Second

// stamps are service.Stamps.
var stamps = map[string]svlog.Stamp{
	"rfc3339": svlog.RFC3339, "tai64n": svlog.TAI64N, "human": svlog.Human, "iso": svlog.ISO, "none": svlog.None,
}

// LostOutput counts what went nowhere; a log that cannot be written must not keep a
// service down.
func (o *outputs) LostOutput(name string, err error) {
	o.mu.Lock()
	o.lost++
	o.why = err
	first := o.lost == 1
	o.mu.Unlock()
	if first {
		o.log.Error("output is lost", "service", name, "err", err)
	}
}

func (o *outputs) degraded() (lines []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		lines = append(lines, fmt.Sprintf("output of services was lost %d times, last: %v", o.lost, o.why))
	}
	if o.noMarks != nil {
		lines = append(lines, o.noMarks.Error())
	}
	return lines
}
