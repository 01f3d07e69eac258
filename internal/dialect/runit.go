package dialect

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"hotsvc/internal/service"
)

// runit: a directory with run, and beside it finish, down, control/ and log/
// (runsv(8)). check is asked by sv alone.

// meantForRunit are files that only a service directory has.
var meantForRunit = []string{"finish", "down", "check", "control", "log/run"}

func (r *reader) runit(name string) {
	def := r.define(name, service.Runit, name+"/run")
	def.Exec.Identity = r.identity(name)
	there, executable, err := r.program(name + "/run")
	switch {
	case err != nil:
		r.broken(def, "cannot be read: %v: see to it that it can be, then: hsctl reload", bare(err))
		return
	case !there && r.Dialect == "":
		for _, f := range meantForRunit {
			if r.has(name + "/" + f) {
				r.warn(name, "has %s and no run: write run, or rename the directory to .%s", f, name)
				return
			}
		}
		return
	case !there:
		r.broken(def, "is not there: write it, or rename the directory to .%s", name)
		return
	case !executable:
		r.broken(def, "is no executable file: chmod +x")
		return
	}
	if r.doubted(def, r.runitFiles(name)...) {
		return
	}
	dir, copyOf := r.runitDir(name)
	runitValues(def, dir, copyOf)
	def.Policy.StartAtBoot = !r.has(name + "/down")
	if there, executable, _ := r.program(name + "/finish"); there && executable {
		def.Exec.Post = append(literals(dir+"/finish"), "{code}", "{signal}")
	}
	r.control(def, name, dir)
	logger := r.logger(def, name, dir, copyOf)
	if r.add(def) && logger != nil {
		r.found.Definitions = append(r.found.Definitions, logger)
	}
}

// runitFiles lists what is run of a service directory, and where that is.
func (r *reader) runitFiles(name string) []string {
	files := []string{name, name + "/run", name + "/finish", name + "/check", name + "/log", name + "/log/run", name + "/control"}
	entries, _ := fs.ReadDir(r.FS, name+"/control") // none is usual
	for _, e := range entries {
		files = append(files, name+"/control/"+e.Name())
	}
	return files
}

// runitValues sets what all runs of a service directory and of its logger have.
func runitValues(def *service.Definition, dir, copyOf string) {
	def.Dir = dir
	e, p := &def.Exec, &def.Policy
	e.Start = literals(dir + "/run")
	e.Cwd = service.Literal(dir)
	e.CopyOf = copyOf
	e.Env = []service.Var{{Name: "PWD", Value: service.Literal(dir)}}
	e.InheritEnv = true
	p.BackoffFirst, p.BackoffMax = time.Second, time.Second
	p.ShutdownTimeout = service.Never
	p.KillMode = service.KillMain
	p.Manner = service.Manner{PostTimeout: time.Minute, FromStart: true, RetryExec: true}
}

// runitDir is where a directory runs. One that is linked in under another name
// is an instance of what the link leads to: it takes its own name from its
// working directory, so it gets a copy there.
func (r *reader) runitDir(name string) (dir, copyOf string) {
	to, err := fs.ReadLink(r.FS, name)
	if err != nil || path.Base(to) == name {
		return r.path(name), ""
	}
	return path.Join(r.Copies, name), r.path(name)
}

// controls are the commands before which a script of control/ is run.
const controls = "tdxkpchaiq12"

func (r *reader) control(def *service.Definition, name, dir string) {
	entries, _ := fs.ReadDir(r.FS, name+"/control") // none is usual
	for _, e := range entries {
		script := "control/" + e.Name()
		if _, executable, _ := r.program(name + "/" + script); !executable || len(e.Name()) != 1 {
			continue
		}
		switch {
		case e.Name() == "u":
			def.Exec.Pre = literals(dir + "/" + script)
			def.Policy.Manner.PreIgnored = true
		case strings.Contains(controls, e.Name()):
			def.Policy.Manner.Control = append(def.Policy.Manner.Control, dir+"/"+script)
		}
	}
}

// logger makes the service that reads what another one says. An empty file log
// says that there is none on purpose.
func (r *reader) logger(def *service.Definition, name, dir, copyOf string) *service.Definition {
	info, err := fs.Stat(r.FS, name+"/log")
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir() && info.Size() == 0:
		return nil
	case err != nil:
		r.warn(name+"/log", "cannot be read: %v: the service runs without a logger", bare(err))
		return nil
	case !info.IsDir():
		r.warn(name+"/log", "is no directory: the service runs without a logger; make it one with run in it, or an empty file")
		return nil
	case service.IsTemplate(name):
		r.warn(name+"/log", "is not used: a template has no logger; each instance has a log of its own")
		return nil
	}
	logger := r.define(service.LoggerOf(name), service.Runit, name+"/log/run")
	logger.Exec.Identity = r.identity(name + "/log")
	there, executable, _ := r.program(name + "/log/run")
	if !there || !executable { // what the service says must not be lost: it has no pipe then
		why := "is not there: write it, or make log an empty file"
		if there {
			why = "is no executable file: chmod +x"
		}
		r.breaks(logger, "%s", why)
		return logger
	}
	def.Exec.Log = "pipe:" + logger.Name
	def.Policy.After = []string{logger.Name}
	if copyOf != "" {
		copyOf += "/log"
	}
	runitValues(logger, dir+"/log", copyOf)
	logger.Exec.Input = def.Name
	if logger.Policy.StartAtBoot = !r.has(name + "/log/down"); logger.Policy.StartAtBoot {
		def.Policy.Wants = []string{logger.Name}
	}
	return logger
}
