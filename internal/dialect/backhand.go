package dialect

import (
	"slices"
	"strings"
	"time"

	"hotsvc/internal/service"
)

// backhand: a directory with pre, run and post, none of which must be there.
// It makes two definitions: NAME, whose scripts get the name as their argument,
// and NAME@, whose scripts get what stands right of the @.

var backhandFiles = []string{"pre", "run", "post"}

// backhandSign tells a directory that only backhand would have.
func (r *reader) backhandSign(name string) bool {
	return r.has(name+"/pre") || r.has(name+"/post")
}

func (r *reader) backhand(name string) {
	scripts := map[string]bool{}
	for _, f := range backhandFiles {
		there, executable, err := r.program(name + "/" + f)
		switch {
		case err != nil:
			r.broken(r.define(name, service.Backhand, name), "cannot be read: %s: %v: see to it that it can be, then: hsctl reload", f, bare(err))
			return
		case there && !executable:
			r.warn(name+"/"+f, "is not executable, so it counts as not there: chmod +x")
		}
		scripts[f] = executable
	}
	if r.Dialect == "" && !slices.ContainsFunc(backhandFiles, func(f string) bool { return r.has(name + "/" + f) }) {
		return
	}
	if strings.Contains(name, "@") {
		r.warn(name, "has an @ in its name, which is what divides a service from its instance: rename it")
		return
	}
	if r.doubted(r.define(name, service.Backhand, name), name, name+"/pre", name+"/run", name+"/post") {
		return
	}
	r.add(r.backhandDefinition(name, name, service.Literal(name), scripts))
	r.add(r.backhandDefinition(name+"@", name, "{instance}", scripts))
}

func (r *reader) backhandDefinition(name, dir, argument string, scripts map[string]bool) *service.Definition {
	def := r.define(name, service.Backhand, dir)
	def.Dir = r.path(dir)
	e, p := &def.Exec, &def.Policy
	for _, c := range []struct {
		file string
		to   *[]string
	}{{"pre", &e.Pre}, {"run", &e.Start}, {"post", &e.Post}} {
		if scripts[c.file] {
			*c.to = append(literals(r.path(dir+"/"+c.file)), argument)
		}
	}
	if !scripts["run"] {
		e.Type, p.Restart = service.Oneshot, service.RestartOnFailure
	}
	e.InheritEnv = true
	e.Identity = r.identity(dir)
	p.BackoffFirst, p.BackoffMax = 10*time.Second, 10*time.Second
	p.Manner = service.Manner{PreOnce: true, PreFinal: true, PostOnStop: true, PostCounts: true, FromStart: true}
	return def
}
