package superdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
	hotsvc "hotsvc/internal/status"
)

// patience is how long a lock may be held by what a daemon that just died was
// about to start.
const patience = 500 * time.Millisecond

var past = time.Unix(1, 0)

// Config is what a Face needs of the daemon.
type Config struct {
	Post func(engine.Input) // may block while the inbox is full
	ID   int64              // of the one call that Face has under way
	Warn func(line string)
}

// Face keeps the supervise/ of every service that has one.
type Face struct {
	Config
	watch   *watch
	born    time.Time
	answers chan engine.Reply

	news    sync.Mutex
	changed map[string]bool // by service; false: it is gone
	all     bool
	anew    bool
	settled []chan<- struct{}

	mu       sync.Mutex        // never held while anything waits
	locks    map[string]int    // directories that are ours, by path
	services map[string]*files // nil: has none, or cannot have one
}

// New makes a Face. Nothing is touched before Claim or Run.
func New(c Config) (*Face, error) {
	w, err := newWatch(c.Warn)
	if err != nil {
		return nil, fmt.Errorf("supervise/: %w", err)
	}
	return &Face{Config: c, watch: w, born: time.Now(), answers: make(chan engine.Reply, 1), changed: map[string]bool{}, all: true,
		locks: map[string]int{}, services: map[string]*files{}}, nil
}

// Claim makes a service directory ours, before anything in it is started. The
// error says who supervises it already, in one line. A directory that cannot be
// written to is nobody's: that is no error.
func (f *Face) Claim(dir string) error {
	for {
		err := f.claim(dir)
		var busy *errBusy
		if !errors.As(err, &busy) {
			return nil
		}
		if time.Since(f.born) > patience {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (f *Face) claim(dir string) error {
	f.mu.Lock()
	_, ours := f.locks[dir]
	f.mu.Unlock()
	if ours {
		return nil
	}
	fd, err := lock(dir)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks[dir] = fd
	return nil
}

func (f *Face) disclaim(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fd, ok := f.locks[dir]; ok {
		unix.Close(fd)
		delete(f.locks, dir)
	}
}

// Changed says that there may be news of a service. It never blocks.
func (f *Face) Changed(service string) { f.tell(func() { f.changed[service] = true }) }

// Gone says that a service is not known any more. It never blocks.
func (f *Face) Gone(service string) { f.tell(func() { f.changed[service] = false }) }

// All says that there may be news of any service.
func (f *Face) All() { f.tell(func() { f.all = true }) }

// Anew says that services are defined anew: what could not be kept before is
// tried again.
func (f *Face) Anew() { f.tell(func() { f.all, f.anew = true, true }) }

func (f *Face) tell(what func()) {
	f.news.Lock()
	what()
	f.news.Unlock()
	f.watch.knock()
}

// Settle returns when all that was told is written, or after a second.
func (f *Face) Settle() {
	done := make(chan struct{})
	f.tell(func() { f.settled = append(f.settled, done) })
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// Deliver takes the answer to the Face's own call.
func (f *Face) Deliver(r engine.Reply) {
	select {
	case f.answers <- r:
	default: // nobody asks any more
	}
}

// Run keeps the files until ctx ends. They stay then, for those who look what
// was; `ok` says that nobody supervises.
func (f *Face) Run(ctx context.Context) {
	stop := f.watch.until(ctx)
	defer stop()
	defer f.close()
	f.watch.knock() // to begin with, all is news
	for {
		ready, left, err := f.watch.wait()
		if err != nil {
			if ctx.Err() == nil {
				f.Warn("supervise/ is not kept any more: " + err.Error())
			}
			return
		}
		for _, d := range f.open() {
			if left[d.watch] || left[-1] { // -1: more was taken than the kernel could tell
				f.repair(d)
			}
			if slices.Contains(ready, d.control) {
				f.obey(d, turn)
			}
		}
		if !f.catchUp(ctx) {
			return
		}
	}
}

// open lists what is kept.
func (f *Face) open() []*files {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(func(yield func(*files) bool) {
		for _, d := range f.services {
			if d != nil && !yield(d) {
				return
			}
		}
	})
}

// catchUp asks how those are of which there is news, and writes that. False
// means that the daemon ends.
func (f *Face) catchUp(ctx context.Context) bool {
	f.news.Lock()
	changed, all, anew, settled := f.changed, f.all, f.anew, f.settled
	f.changed, f.all, f.anew, f.settled = map[string]bool{}, false, false, nil
	f.news.Unlock()
	defer func() {
		for _, s := range settled {
			close(s)
		}
	}()
	var ask []string
	for name, known := range changed {
		if !known {
			f.drop(name)
		} else if f.mayHaveFiles(name) {
			ask = append(ask, name)
		}
	}
	if all {
		ask = nil
	} else if ask == nil {
		return true
	}
	f.Post(engine.Input{Call: &engine.Call{ID: f.ID, Verb: engine.VerbStatus, Services: ask, Peer: self()}})
	var report hotsvc.Report
	select {
	case r := <-f.answers:
		report, _ = r.Value.(hotsvc.Report)
	case <-ctx.Done():
		return false
	}
	there := map[string]bool{}
	for i := range report.Services {
		s := &report.Services[i]
		there[s.Name] = true
		f.show(s, anew)
	}
	if all {
		for _, name := range f.names() {
			if !there[name] {
				f.drop(name)
			}
		}
	}
	return true
}

func self() engine.Peer { return engine.Peer{UID: os.Geteuid()} }

func (f *Face) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.services))
}

// mayHaveFiles is false of those that are known to have none.
func (f *Face) mayHaveFiles(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, known := f.services[name]
	return d != nil || !known
}

// show writes how a service is. What could not be done before is tried again
// where that is asked for.
func (f *Face) show(s *hotsvc.Service, again bool) {
	f.mu.Lock()
	d, known := f.services[s.Name]
	f.mu.Unlock()
	dir := ""
	if def := s.Definition; def != nil && def.Dialect == string(service.Runit) && def.Dir != nil && !def.Masked {
		dir = *def.Dir
	} else if s.Definition == nil && d != nil {
		dir = d.dir // defined no more, and not yet at its end
	}
	if d != nil && d.dir != dir {
		f.drop(s.Name)
		d, known = nil, false
	}
	if d == nil {
		if known && !again {
			return
		}
		if d = f.take(s.Name, dir); d == nil {
			return
		}
	}
	now := Of(s)
	if now.Passing() && !d.fresh {
		return // the next news is on its way
	}
	if err := d.write(now); err != nil {
		f.lost(d, err)
	}
}

// take begins to keep the files of a service, or notes why not.
func (f *Face) take(name, dir string) *files {
	var d *files
	err := errors.New("")
	if dir != "" {
		if err = f.claim(dir); err == nil {
			d, err = open(name, dir)
		}
		if err == nil {
			err = f.attend(d)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // the directory went, and its service will
		case err != nil:
			f.Warn(fmt.Sprintf("%s: its supervise/ is not kept, other tools do not see it: %v", name, err))
		}
	}
	if err != nil {
		d = nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[name] = d
	return d
}

// attend listens to the control FIFO and to its being taken away.
func (f *Face) attend(d *files) error {
	err := f.watch.add(d.control)
	if err == nil {
		d.watch, err = f.watch.look(filepath.Join(d.dir, superviseName))
	}
	if err != nil {
		d.close()
	}
	return err
}

// drop ends the supervision of a service.
func (f *Face) drop(name string) {
	f.mu.Lock()
	d := f.services[name]
	delete(f.services, name)
	f.mu.Unlock()
	if d == nil {
		return
	}
	f.watch.forget(d.watch)
	d.close()
	f.disclaim(d.dir)
}

// lost begins anew with files that somebody took away.
func (f *Face) lost(d *files, err error) {
	status := d.next
	f.drop(d.service)
	if !errors.Is(err, fs.ErrNotExist) {
		f.Warn(fmt.Sprintf("%s: %v", d.service, err))
	}
	if d = f.take(d.service, d.dir); d == nil || d.write(status) == nil {
		return
	}
	f.drop(d.service)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[d.service] = nil // not until somebody changes something
}

// repair looks whether something of ours was taken away.
func (f *Face) repair(d *files) {
	missing := d.gone()
	if len(missing) == 0 {
		return
	}
	if _, err := os.Stat(d.dir); err == nil {
		for _, file := range missing {
			f.Warn(fmt.Sprintf("%s: somebody removed %s: made again", d.service, d.path(file)))
		}
	}
	f.lost(d, fs.ErrNotExist)
}

func (f *Face) close() {
	for _, name := range f.names() {
		f.drop(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range f.locks { // of what never became a service
		unix.Close(fd)
	}
	f.watch.close()
}

const (
	turn = 1 << 8  // bytes of one control FIFO before the next one is served
	full = 1 << 16 // all that a FIFO can hold
)

// Heed does what was written to a service's control FIFO until now. Whoever
// tells of a service's end calls it first: a one-shot that says `sv once .` and
// ends is not to be started again because its end was heard before its word.
func (f *Face) Heed(service string) {
	f.mu.Lock()
	d := f.services[service]
	f.mu.Unlock()
	if d != nil {
		f.obey(d, full)
	}
}

// obey turns bytes into calls, in order. It holds the others off meanwhile, so
// that none overtakes.
func (f *Face) obey(d *files, limit int) {
	d.reading.Lock()
	defer d.reading.Unlock()
	buf := make([]byte, turn)
	for read := 0; read < limit && d.control >= 0; {
		n, err := unix.Read(d.control, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		read += n
		for _, letter := range buf[:n] {
			call, known := Command(d.service, letter)
			if !known {
				continue
			}
			call.Peer, call.NoWait = self(), true
			f.Post(engine.Input{Call: &call})
		}
	}
}

// Command is what a byte in supervise/control asks of a service (runsv(8)).
// A logger is not told to exit: it ends when its input does.
func Command(name string, letter byte) (call engine.Call, known bool) {
	call.Services = []string{name}
	switch letter {
	case 'u':
		call.Verb = engine.VerbStart
	case 'd':
		call.Verb = engine.VerbStop
	case 'o':
		call.Verb = engine.VerbOnce
	case 'x':
		call.Verb = engine.VerbExit
		return call, !strings.HasSuffix(name, service.LoggerOf(""))
	default:
		call.Verb, call.Signal = engine.VerbSignal, signals[letter]
		return call, call.Signal != ""
	}
	return call, true
}

var signals = map[byte]string{'t': "TERM", 'k': "KILL", 'p': "STOP", 'c': "CONT", 'h': "HUP", 'a': "ALRM", 'i': "INT", 'q': "QUIT", '1': "USR1", '2': "USR2"}
