package supervise

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hotsvc/internal/service"
	"hotsvc/internal/svlog"
)

// outputs are the FIFOs that services write to, and who reads them. A process
// has its FIFO open for both reading and writing, so it outlives the daemon
// without a broken pipe, and the FIFO keeps what nobody has read yet.
type outputs struct {
	dir     string // of the FIFOs: RUNDIR/output
	run     string // where attempts have their notes: RUNDIR/run
	logDir  string
	syslog  string // socket of the system's logger
	log     *slog.Logger
	pumps   *svlog.Pumps
	noMarks error // why what they mark does not outlive the daemon

	mu     sync.Mutex
	closed bool
	all    map[string]*output
	lost   int // how often something could not be written
	why    error
}

// output is one FIFO, from the first start of a service until nobody has it open.
type output struct {
	destination
	pump *svlog.Pump // reads it; nil: another service does
	keep *os.File    // then: keeps it open
}

// roomy is how many bytes a FIFO is to hold while no daemon is there.
const roomy = 256 << 10

// resume goes on where an earlier daemon ended: each FIFO is read again.
func (o *outputs) resume(runDir string) error {
	o.all = make(map[string]*output)
	paths, err := filepath.Glob(filepath.Join(o.dir, "*.fifo"))
	if err != nil {
		return err
	}
	var names []string
	for _, path := range paths {
		if name, ok := service.FromFileName(strings.TrimSuffix(filepath.Base(path), ".fifo")); ok {
			names = append(names, name)
		}
	}
	if o.pumps, o.noMarks = svlog.OpenPumps(filepath.Join(runDir, "marks"), names, o); o.pumps == nil {
		return o.noMarks
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range names {
		e := &output{destination: usual}
		if text, err := os.ReadFile(o.path(name, "to")); err == nil {
			if err := json.Unmarshal(text, &e.destination); err != nil {
				o.log.Error("where output goes cannot be read: it goes to a file", "service", name, "err", err)
				e.destination = usual
			}
		}
		o.all[name] = e
		if err := o.serve(name, e, o.pumps.Resume); err != nil {
			delete(o.all, name)
			o.log.Error("output not read", "service", name, "err", err)
		}
	}
	return nil
}

// path is a file of a service: its fifo; to, which says where that goes unless
// that is usual.
func (o *outputs) path(name, what string) string {
	return filepath.Join(o.dir, service.FileName(name)+"."+what)
}

// writer opens a service's end of its FIFO, and sees to it that somebody reads.
func (o *outputs) writer(name string, to destination) (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, err := o.output(name, to)
	if err != nil {
		return nil, err
	}
	f, err := o.open(name, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, roomy) // where that is allowed
	if err := o.serve(name, e, o.pumps.Pump); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reader opens the FIFO of a service for another one that reads it.
func (o *outputs) reader(name, by string) (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, err := o.output(name, destinationOf(toPipe+by, service.LogFile{}))
	if err == nil {
		err = o.serve(name, e, o.pumps.Pump)
	}
	if err != nil {
		return nil, err
	}
	return o.open(name, unix.O_RDONLY)
}

// open is not through os: it must block its user.
func (o *outputs) open(name string, mode int) (*os.File, error) {
	path := o.path(name, "fifo")
	fd, err := unix.Open(path, mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// output finds or makes what is to go there. The lock is held.
func (o *outputs) output(name string, to destination) (*output, error) {
	e := o.all[name]
	switch {
	case o.closed:
		return nil, errors.New("the daemon ends")
	case e != nil:
		return e, o.direct(name, e, to)
	case to != usual:
		if err := o.note(name, to); err != nil {
			return nil, err
		}
	}
	path := o.path(name, "fifo")
	err := unix.Mkfifo(path, 0o600)
	if err == unix.EEXIST { // nobody's: resume has all that are somebody's
		os.Remove(path)
		err = unix.Mkfifo(path, 0o600)
	}
	if err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	os.Chmod(path, 0o622) // a service with a user of its own opens /dev/stdout again
	e = &output{destination: to}
	o.all[name] = e
	return e, nil
}

// serve sees to it that the right one reads. Whoever writes is to have the FIFO
// open, so that a pump does not find it at its end. The lock is held.
func (o *outputs) serve(name string, e *output, pump func(service, fifo string) (*svlog.Pump, error)) (err error) {
	if !strings.HasPrefix(e.To, toPipe) {
		if e.pump == nil {
			e.pump, err = pump(name, o.path(name, "fifo"))
		}
		if err == nil && e.keep != nil {
			e.keep.Close()
			e.keep = nil
		}
		return err
	}
	if p := e.pump; p != nil { // it is to be another's input from now on
		e.pump = nil
		p.Stop()
		o.mu.Unlock() // for its end
		<-p.Done()
		o.mu.Lock()
	}
	if e.keep == nil {
		e.keep, err = o.open(name, unix.O_RDWR)
	}
	return err
}

// OutputEnds forgets a FIFO that nobody has open any more, unless somebody just
// began to.
func (o *outputs) OutputEnds(p *svlog.Pump, still func() bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.all[p.Service()]; e == nil || e.pump != p { // it has a new reader
		return true
	}
	if !still() {
		return false
	}
	o.forget(p.Service())
	return true
}

// forget removes what there is of a FIFO. The lock is held.
func (o *outputs) forget(name string) {
	if o.all[name].destination != usual {
		os.Remove(o.path(name, "to"))
	}
	os.Remove(o.path(name, "fifo"))
	delete(o.all, name)
}

// rested lets go of the FIFOs that one service writes and another reads, when a
// service's last attempt is over, the other has none either, and all has been
// read; "" is any service.
func (o *outputs) rested(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for writer, e := range o.all {
		by, piped := strings.CutPrefix(e.To, toPipe)
		if !piped || name != "" && writer != name && by != name || o.hasAttempts(writer) || o.hasAttempts(by) {
			continue
		}
		if e.keep != nil {
			if unread, err := unix.IoctlGetInt(int(e.keep.Fd()), unix.TIOCINQ); err == nil && unread > 0 {
				continue
			}
			e.keep.Close()
		}
		o.forget(writer)
	}
}

func (o *outputs) hasAttempts(name string) bool {
	_, err := os.Stat(filepath.Join(o.run, service.FileName(name)))
	return err == nil
}

// end lets a service that reads the FIFOs of others see their end, as soon as
// those are gone. It tells whether there are any.
func (o *outputs) end(by string) (any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.all {
		if e.To == toPipe+by && e.keep != nil {
			e.keep.Close()
			e.keep = nil
			any = true
		}
	}
	return any
}

// opened opens each FIFO once more, so that what is in it outlives its service
// until the next image of this process reads it. A service that reads one whose
// writers are all at rest is not to see its end meanwhile.
func (o *outputs) opened() (fifos []*os.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, e := range o.all {
		mode := unix.O_RDONLY
		if e.keep != nil {
			mode = unix.O_RDWR
		}
		if f, err := o.open(name, mode|unix.O_NONBLOCK); err == nil {
			fifos = append(fifos, f)
		}
	}
	return fifos
}

// close ends all pumps. With leave, what is in the FIFOs is for the next daemon;
// else what has been killed has come to its end, and so do the pumps, by themselves.
func (o *outputs) close(leave bool) {
	o.mu.Lock()
	o.closed = true
	for _, e := range o.all {
		if e.keep != nil {
			e.keep.Close()
		}
	}
	o.mu.Unlock()
	if !leave {
		o.pumps.Ended(closePatience)
	}
	o.pumps.Close(closePatience)
}
