package svlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// A file is given to a processor that fails so many times, with a pause after
// the first that doubles after each. What it never gets through stays .u.
const (
	attempts   = 5
	firstPause = time.Second
)

// processor gives the .u files of a directory to a command, one at a time and
// the oldest first, beside the writer. The files are the queue: what a dead
// writer left is worked on, too.
type processor struct {
	path     string
	command  string
	patience time.Duration // Options.Patience
	root     *os.Root
	warn     func(error)
	earlier  *processor    // that of the same Dir before Reopen; it finishes first
	work     chan struct{} // there may be a new .u file
	ending   chan struct{} // closed: no more pauses
	done     chan struct{} // closed: it does nothing any more

	mu      sync.Mutex
	leaving bool           // not even what is left to do
	busy    string         // the .u file that is worked on
	failed  map[string]int // how often, by .u file
	slow    bool           // a rotation has waited for this file in vain
}

func startProcessor(d *Dir, earlier *processor) error {
	root, err := d.root.OpenRoot(".")
	if err != nil {
		return err
	}
	p := &processor{path: d.path, command: d.c.processor, patience: d.o.Patience, root: root, warn: d.o.Warn, earlier: earlier,
		work: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}), failed: map[string]int{}}
	if p.warn == nil {
		p.warn = func(error) {}
	}
	d.processor = p
	go p.run()
	return nil
}

// poke says that there is a new .u file.
func (p *processor) poke() {
	select {
	case p.work <- struct{}{}:
	default: // it will look anyway
	}
}

// leave lets the command that runs come to its end, and nothing after it.
func (p *processor) leave() {
	p.mu.Lock()
	p.leaving = true
	p.mu.Unlock()
	close(p.ending)
}

// finish waits until all files are done, or have failed often enough.
func (p *processor) finish() {
	close(p.ending)
	<-p.done
}

func (p *processor) run() {
	defer close(p.done)
	defer p.root.Close()
	if p.earlier != nil {
		<-p.earlier.done
	}
	p.recover()
	for {
		name := p.pick()
		if name == "" {
			select {
			case <-p.work:
				continue
			case <-p.ending:
				if name = p.pick(); name == "" {
					return
				}
			}
		}
		err := p.process(name)
		p.mu.Lock()
		p.busy, p.slow = "", false
		if err != nil {
			p.failed[name]++
		}
		n := p.failed[name]
		p.mu.Unlock()
		if err == nil {
			continue
		}
		again := "is tried again"
		if n == attempts {
			again = "stays as it is"
		}
		p.warn(fmt.Errorf("%s/%s: processor: %w; time %d of %d: the file %s", p.path, name, err, n, attempts, again))
		if n < attempts {
			select {
			case <-time.After(firstPause << (n - 1)):
			case <-p.ending:
			}
		}
	}
}

// pick chooses the oldest file that is still to be done.
func (p *processor) pick() string {
	names, err := readNames(p.root.FS())
	if err != nil {
		p.warn(fmt.Errorf("log directory %s: %w", p.path, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range names {
		if n[labelLen+1] == 'u' && p.failed[n] < attempts && !p.leaving {
			p.busy = n
			return n
		}
	}
	return ""
}

// isBusy says whether name is being worked on.
func (p *processor) isBusy(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy == name
}

// settle waits until name, if it is a .u file, is done or given up; but not
// longer than Patience, and not twice for the same file.
func (p *processor) settle(name string) {
	if name[labelLen+1] != 'u' {
		return
	}
	for end := time.Now().Add(p.patience); ; time.Sleep(5 * time.Millisecond) {
		_, err := p.root.Lstat(name)
		p.mu.Lock()
		over := err != nil || p.slow || p.failed[name] >= attempts
		if !over && time.Now().After(end) {
			over, p.slow = true, true
		}
		p.mu.Unlock()
		if over {
			return
		}
	}
}

// process gives one file to the command.
func (p *processor) process(name string) (err error) {
	base := name[:labelLen+1]
	var files [4]*os.File
	defer func() {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}()
	const fresh = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	for i, f := range []struct {
		name  string
		flags int
	}{{name, os.O_RDONLY}, {base + "t", fresh}, {"state", os.O_RDONLY | os.O_CREATE}, {"newstate", fresh}} {
		if files[i], err = p.root.OpenFile(f.name, f.flags, 0o644); err != nil {
			if i == 0 && errors.Is(err, fs.ErrNotExist) {
				return nil // it was the oldest, and its place was needed
			}
			return err
		}
	}
	in, out := files[0], files[1]
	cmd := exec.Command("/bin/sh", "-c", p.command)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.path, in, out, os.Stderr
	cmd.ExtraFiles = []*os.File{nil, files[2], files[3]} // 4 and 5
	if err = cmd.Run(); err != nil {
		p.root.Remove(base + "t")
		return err
	}
	if err = out.Sync(); err == nil {
		err = p.accept(base)
	}
	return err
}

// accept makes the output the rotated file. A death between any two steps is
// made good by recover.
func (p *processor) accept(base string) error {
	err := p.root.Chmod(base+"t", modeClosed)
	if err == nil {
		err = p.root.Rename(base+"t", base+"s")
	}
	if err == nil {
		err = p.wrapUp(base)
	}
	return err
}

// wrapUp does what is left to do once the .s file is there.
func (p *processor) wrapUp(base string) error {
	err := p.root.Rename("newstate", "state")
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = p.root.Remove(base + "u")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recover ends what a dead writer was about: where there is .s beside .u, the
// output was accepted; where there is .t alone, a real svlogd was about to.
func (p *processor) recover() {
	names, _ := readNames(p.root.FS())
	for _, n := range names {
		base, err := n[:labelLen+1], error(nil)
		switch u, s := slices.Contains(names, base+"u"), slices.Contains(names, base+"s"); {
		case n == base+"s" && u:
			err = p.wrapUp(base)
		case n == base+"t" && !u && !s:
			err = p.accept(base)
		}
		if err != nil {
			p.warn(fmt.Errorf("log directory %s: clean up: %w", p.path, err))
		}
	}
}
