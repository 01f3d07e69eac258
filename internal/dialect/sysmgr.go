package dialect

import (
	"time"

	"hotsvc/internal/service"
)

// sysmgr: a program NAME, whose argument is its own path.

func (r *reader) sysmgr(name string) {
	def := r.define(name, service.Sysmgr, name)
	e, p := &def.Exec, &def.Policy
	e.Start = literals(r.path(name), r.path(name))
	e.Env = []service.Var{
		{Name: "SYSDIR", Value: service.Literal(r.Name)},
		{Name: "RUNDIR", Value: service.Literal(r.RunDir)},
	}
	e.InheritEnv = true
	p.BackoffFirst, p.BackoffMax = time.Second, time.Second
	p.StartAtBoot = true
	p.Manner = service.Manner{FromStart: true, RetryExec: true}
	if !r.doubted(def, name) {
		r.add(def)
	}
}
