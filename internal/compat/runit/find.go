package runit

import (
	"os"
	"path/filepath"
	"time"

	"hotsvc/internal/layout"
)

// appear is how long a directory that nobody supervises yet is given where a
// hotsvc runs: it was perhaps linked in a moment ago.
const appear = time.Second

const pause = 20 * time.Millisecond // between two looks

// serviceDirs are where services are looked for without $SVDIR.
var serviceDirs = []string{"/var/service", "/service", "/etc/service"}

func serviceDir() string {
	if dir := os.Getenv("SVDIR"); dir != "" {
		return dir
	}
	for _, dir := range serviceDirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return serviceDirs[0]
}

// find tells who supervises what was typed, and in which directory; that is ""
// where the service has none. Patient, it gives a new directory time to be seen.
func find(typed string, patient bool) (by supervisor, dir string, err error) {
	dir = typed
	if isName(typed) {
		dir = filepath.Join(serviceDir(), typed)
	}
	_, missing := os.ReadDir(dir)
	if isName(typed) {
		if h := named(typed, dir); h.name != "" {
			return h, h.dir, nil
		}
	}
	if missing != nil {
		return nil, "", &trouble{"fail", "unable to change to service directory: " + reason(missing)}
	}
	for until := time.Now().Add(appear); ; time.Sleep(pause) {
		h, err := ofDaemon(layout.Socket(), dir)
		if h.name != "" {
			return h, h.dir, nil
		}
		_, noRun := os.Stat(filepath.Join(dir, "run"))
		if err != nil || !patient || noRun != nil || directory(dir).alive() == nil || time.Now().After(until) {
			return directory(dir), dir, nil
		}
	}
}

// isName tells a service's name from a directory.
func isName(typed string) bool {
	return typed != "" && typed[0] != '/' && typed[0] != '.' && typed[len(typed)-1] != '/'
}

// named is the daemon's service of that name, unless it lives elsewhere and
// another supervises the directory that runit's sv would take.
func named(name, dir string) hotsvc {
	found, err := ask(layout.Socket(), name)
	s := found[name]
	if err != nil || s == nil || (!livesIn(s, dir) || refused(s)) && directory(dir).alive() == nil {
		return hotsvc{}
	}
	return hotsvc{layout.Socket(), name, dirOf(s)}
}
