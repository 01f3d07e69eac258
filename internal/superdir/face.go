package superdir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/service"
	hotsvc "hotsvc/internal/status"
)

// patience is how long a lock may be held by what a daemon that just died was
// about to start.
const patience = 500 * time.Millisecond

// calm is how long after something was removed it is made again: it is perhaps
// the whole directory that goes, and whoever removes it is not to be disturbed.
const calm = 200 * time.Millisecond

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
	robbed  []*files        // something of them was removed
	all     bool
	anew    bool
	busy    bool // with news of all
	settled []chan<- struct{}

	mu       sync.Mutex        // never held while anything waits
	claimed  map[string]*files // by directory
	services map[string]*files // nil: has none, or cannot have one
}

// New makes a Face. Nothing is touched before Claim or Run.
func New(c Config) (*Face, error) {
	w, err := newWatch(c.Warn)
	if err != nil {
		return nil, fmt.Errorf("supervise/: %w", err)
	}
	return &Face{Config: c, watch: w, born: time.Now(), answers: make(chan engine.Reply, 1), changed: map[string]bool{}, all: true,
		claimed: map[string]*files{}, services: map[string]*files{}}, nil
}

// Claim makes a service directory ours, before anything in it is started. The
// error says who supervises it already, in one line. A directory that cannot be
// written to is nobody's: that is no error.
func (f *Face) Claim(dir string) error {
	os.MkdirAll(dir, 0o755) // it may be a copy that is yet to be made
	for {
		_, err := f.claim(dir)
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

func (f *Face) claim(dir string) (*files, error) {
	f.mu.Lock()
	d := f.claimed[dir]
	f.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := open(dir)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first := f.claimed[dir]; first != nil {
		d.close()
		return first, nil
	}
	f.claimed[dir] = d
	return d, nil
}

// Run keeps the files until ctx ends. They stay then, for those who look what
// was; `ok` says that nobody supervises.
func (f *Face) Run(ctx context.Context) {
	defer f.close()
	stop := context.AfterFunc(ctx, f.watch.knock)
	defer stop()
	f.watch.knock() // to begin with, all is news
	for {
		ready, left, err := f.watch.wait()
		if err != nil {
			f.Warn("supervise/ is not kept any more: " + err.Error())
			return
		}
		if ctx.Err() != nil {
			return
		}
		for _, d := range f.open() {
			if left[d.watch] || left[-1] { // -1: more was taken than the kernel could tell
				time.AfterFunc(calm, func() { f.tell(func() { f.robbed = append(f.robbed, d) }) })
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
	changed, robbed, all, anew, settled := f.changed, f.robbed, f.all, f.anew, f.settled
	f.changed, f.robbed, f.all, f.anew, f.busy, f.settled = map[string]bool{}, nil, false, false, all, nil
	f.news.Unlock()
	defer func() {
		f.news.Lock()
		f.busy = false
		f.news.Unlock()
		for _, s := range settled {
			close(s)
		}
	}()
	for _, d := range robbed {
		f.repair(d)
	}
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
	d, known := f.find(name)
	return d != nil || !known
}

// show writes how a service is. What could not be done before is tried again
// where that is asked for.
func (f *Face) show(s *hotsvc.Service, again bool) {
	d, known := f.find(s.Name)
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
	if dir != "" {
		var err error
		if d, err = f.claim(dir); err == nil {
			d.service = name
			err = f.attend(d)
		}
		if err != nil {
			f.Warn(fmt.Sprintf("%s: its supervise/ is not kept, other tools do not see it: %v", name, err))
			d = nil
		}
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
		f.release(d)
	}
	return err
}

// release ends our claim on a directory. What is in it stays.
func (f *Face) release(d *files) {
	f.mu.Lock()
	delete(f.claimed, d.dir)
	f.mu.Unlock()
	if d.watch >= 0 {
		f.watch.forget(d.watch)
	}
	d.close()
}

// drop ends the supervision of a service.
func (f *Face) drop(name string) {
	f.mu.Lock()
	d := f.services[name]
	delete(f.services, name)
	f.mu.Unlock()
	if d != nil {
		f.release(d)
	}
}

// lost begins anew with files that somebody took away, once: what cannot be
// mended waits until services are defined anew.
func (f *Face) lost(d *files, err error) {
	name, dir, status := d.service, d.dir, d.next
	f.drop(name)
	if _, gone := os.Stat(filepath.Join(dir, "run")); gone != nil { // its service will go, too
		f.refuse(name)
		return
	}
	if err != nil {
		f.Warn(fmt.Sprintf("%s: %v", name, err))
	}
	if d = f.take(name, dir); d == nil {
		return
	}
	if err := d.write(status); err != nil {
		f.Warn(fmt.Sprintf("%s: its supervise/ is not kept, other tools do not see it: %v", name, err))
		f.drop(name)
		f.refuse(name)
	}
}

// refuse notes that a service has no files, until services are defined anew.
func (f *Face) refuse(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[name] = nil
}

// repair looks whether something of ours was taken away.
func (f *Face) repair(d *files) {
	if now, _ := f.find(d.service); now != d {
		return // let go of, meanwhile
	}
	if missing := d.gone(); len(missing) > 0 {
		f.lost(d, fmt.Errorf("somebody removed %s: made again", strings.Join(missing, ", ")))
	}
}

func (f *Face) close() {
	defer f.watch.close()
	for _, name := range f.names() {
		f.drop(name)
	}
	f.mu.Lock()
	rest := slices.Collect(maps.Values(f.claimed)) // of what never became a service
	f.mu.Unlock()
	for _, d := range rest {
		f.release(d)
	}
}
