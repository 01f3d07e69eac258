package service

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"hotsvc/internal/toml"
)

// String prints the definition as TOML that Parse reads back, without the keys
// that say what they would say anyway. It is empty for a masked service.
func (d *Definition) String() string {
	if d.Masked {
		return ""
	}
	usual := New(d.Name)
	if d.Exec.Type == Oneshot {
		usual.Policy.StartTimeout = 5 * time.Minute
		usual.Policy.Restart = RestartOnFailure
	}
	var p printer
	p.text("description", d.Description, "")
	exec := d.Exec
	if d.Policy.LogFile != UsualLogFile {
		exec.Log = usual.Exec.Log
		p.line("log", d.Policy.LogFile.table(d.Exec.Log))
	}
	p.exec(&exec, &usual.Exec)
	p.policy(&d.Policy, &usual.Policy)
	return p.String()
}

// ExecHash tells exec parts apart: a run whose definition has another one now is
// stale. It depends on nothing but what the keys say.
func (d *Definition) ExecHash() uint64 {
	var p printer
	usual := New(d.Name).Exec
	exec := d.Exec
	if exec.InheritEnv { // of a dialect: scripts beside the program come and go, and each run has those of its time
		exec.Pre, exec.Post = nil, nil
	}
	p.exec(&exec, &usual)
	h := fnv.New64a()
	h.Write([]byte(p.String()))
	if e := &d.Exec; e.Input != "" || e.CopyOf != "" || e.InheritEnv || e.Identity != 0 { // of dialects: there is no key for them
		fmt.Fprintf(h, "%q %q %v %d", e.Input, e.CopyOf, e.InheritEnv, e.Identity)
	}
	return h.Sum64()
}

type printer struct{ strings.Builder }

func (p *printer) line(key, value string) { fmt.Fprintf(p, "%s = %s\n", key, value) }

func (p *printer) text(key, value, usual string) {
	if value != usual {
		p.line(key, toml.Quote(value))
	}
}

func (p *printer) texts(key string, values []string) {
	if len(values) > 0 {
		p.line(key, toml.QuoteAll(values))
	}
}

func (p *printer) time(key string, value, usual time.Duration) {
	if value != usual {
		p.line(key, toml.QuoteTime(value))
	}
}

func (p *printer) exec(e, usual *Exec) {
	p.texts("exec_start", e.Start)
	p.texts("exec_start_pre", e.Pre)
	p.texts("exec_stop", e.Stop)
	p.texts("exec_stop_post", e.Post)
	p.text("type", string(e.Type), string(usual.Type))
	ready := string(e.Ready)
	if e.Ready == ReadyFD {
		ready = fmt.Sprintf("fd:%d", e.ReadyFD)
	}
	p.text("ready", ready, string(usual.Ready))
	p.texts("check", e.Check)
	p.time("check_every", e.CheckEvery, usual.CheckEvery)
	p.text("user", e.User, "")
	p.text("group", e.Group, "")
	p.texts("groups", e.Groups)
	if e.Umask != usual.Umask {
		p.line("umask", fmt.Sprintf(`"%03o"`, e.Umask))
	}
	if e.Nice != 0 {
		p.line("nice", fmt.Sprint(e.Nice))
	}
	var limits, env []string
	for _, l := range e.Limits {
		limits = append(limits, l.String())
	}
	p.table("limits", limits)
	for _, v := range e.Env {
		env = append(env, v.Name+" = "+toml.Quote(v.Value))
	}
	p.table("env", env)
	p.texts("env_file", e.EnvFile)
	p.text("cwd", e.Cwd, "")
	if e.Capabilities != nil {
		p.line("capabilities", toml.QuoteAll(e.Capabilities))
	}
	if e.NoNewPrivs {
		p.line("no_new_privileges", "true")
	}
	p.text("log", e.Log, usual.Log)
}

func (p *printer) table(key string, items []string) {
	if len(items) > 0 {
		p.line(key, "{ "+strings.Join(items, ", ")+" }")
	}
}

func (p *printer) policy(o, usual *Policy) {
	p.time("exec_start_pre_timeout", o.PreTimeout, usual.PreTimeout)
	p.time("start_timeout", o.StartTimeout, usual.StartTimeout)
	p.text("restart", string(o.Restart), string(usual.Restart))
	if o.BackoffFirst != usual.BackoffFirst || o.BackoffMax != usual.BackoffMax || o.ResetAfter != usual.ResetAfter {
		p.table("backoff", []string{
			"first = " + toml.QuoteTime(o.BackoffFirst),
			"max = " + toml.QuoteTime(o.BackoffMax),
			"reset_after = " + toml.QuoteTime(o.ResetAfter),
		})
	}
	if o.GiveUpFailures != usual.GiveUpFailures || o.GiveUpWithin != usual.GiveUpWithin {
		p.table("give_up", []string{fmt.Sprintf("failures = %d", o.GiveUpFailures), "within = " + toml.QuoteTime(o.GiveUpWithin)})
	}
	p.text("stop_signal", o.StopSignal, usual.StopSignal)
	p.time("shutdown_timeout", o.ShutdownTimeout, usual.ShutdownTimeout)
	p.text("kill_mode", string(o.KillMode), string(usual.KillMode))
	p.text("reload_signal", o.ReloadSignal, "")
	p.texts("needs", o.Needs)
	p.texts("wants", o.Wants)
	p.texts("after", o.After)
	var gates []string
	for i := range o.Gates {
		if o.Gates[i].System == "" {
			gates = append(gates, o.Gates[i].String())
		}
	}
	if len(gates) > 0 {
		p.line("gate", "["+strings.Join(gates, ", ")+"]")
	}
	p.texts("system_dependencies", o.System)
	if o.StartAtBoot {
		p.line("start_at_boot", "true")
	}
}

// String prints the gate as an inline table.
func (g *Gate) String() string {
	s := fmt.Sprintf("{ object = %s, match = %s", toml.Quote(string(g.Object)), g.Match.String())
	if g.Once {
		s += ", once = true"
	}
	if g.Absent {
		s += ", absent = true"
	}
	if g.Linger != 0 {
		s += ", linger = " + toml.QuoteTime(g.Linger)
	}
	return s + " }"
}
