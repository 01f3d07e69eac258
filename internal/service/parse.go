package service

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/match"
	"hotsvc/internal/rule"
	"hotsvc/internal/toml"
)

// New returns the definition of that name with every key at its default.
func New(name string) Definition {
	return Definition{
		Name:    name,
		Dialect: Native,
		Exec:    Exec{Type: Daemon, Ready: ReadyStarted, CheckEvery: time.Second, Umask: -1, Log: "file"},
		Policy: Policy{
			PreTimeout:      10 * time.Second,
			StartTimeout:    time.Minute,
			Restart:         RestartAlways,
			BackoffFirst:    500 * time.Millisecond,
			BackoffMax:      30 * time.Second,
			ResetAfter:      10 * time.Second,
			GiveUpWithin:    time.Minute,
			StopSignal:      "TERM",
			ShutdownTimeout: 10 * time.Second,
			KillMode:        KillAll,
			LogFile:         UsualLogFile,
		},
	}
}

// Parse reads the definition of the service or template called name. mounts are
// the mount points that MOUNTS waits for. A text without anything in it masks
// the service. The definition is complete only if no problem is an error.
func Parse(name, file string, data []byte, mounts []string) (*Definition, []toml.Problem) {
	def := New(name)
	def.Pos = toml.Pos{File: file, Line: 1, Col: 1}
	var p toml.Problems
	if wrong := checkDefinitionName(name); wrong != "" {
		p.Errorf(toml.Pos{File: file}, "%s", wrong)
	}
	if strings.TrimSpace(string(data)) == "" {
		def.Masked = true
		return &def, p.Sorted()
	}
	root, problems := toml.Parse(file, data)
	p.Add(problems...)
	d := &decoder{toml.Decode(root, "a service", &p), &def}
	d.Text("description", &def.Description)
	d.kind()
	d.commands()
	d.readiness()
	d.restarts()
	d.stopping()
	d.relations()
	d.gates(mounts)
	d.privileges()
	d.Done()
	return &def, p.Sorted()
}

type decoder struct {
	*toml.Decoder
	def *Definition
}

// one reads a key that has one of a few values. It is a function because
// methods have no type parameters.
func one[T ~string](d *decoder, name string, to *T, choices ...T) {
	texts := make([]string, len(choices))
	for i, c := range choices {
		texts[i] = string(c)
	}
	text := string(*to)
	d.OneOf(name, &text, texts...)
	*to = T(text)
}

// kind reads type first, because other defaults hang on it.
func (d *decoder) kind() {
	one(d, "type", &d.def.Exec.Type, Daemon, Oneshot)
	if d.def.Exec.Type == Oneshot {
		d.def.Policy.StartTimeout = 5 * time.Minute
		d.def.Policy.Restart = RestartOnFailure
	}
}

func (d *decoder) commands() {
	e := &d.def.Exec
	d.starts()
	d.command("exec_stop", &e.Stop)
	d.command("exec_stop_post", &e.Post)
}

// starts reads what a start runs.
func (d *decoder) starts() {
	e := &d.def.Exec
	d.command("exec_start", &e.Start)
	if d.Table.Get("exec_start") == nil {
		d.Missing("exec_start", `["program", "argument"]`)
	}
	d.command("exec_start_pre", &e.Pre)
	d.Time("exec_start_pre_timeout", &d.def.Policy.PreTimeout)
	d.positive("exec_start_pre_timeout", d.def.Policy.PreTimeout)
	if e.Type == Daemon {
		d.warnBackground(e.Start)
	}
}

func (d *decoder) readiness() {
	e := &d.def.Exec
	ready := string(e.Ready)
	d.Text("ready", &ready)
	k := d.Table.Get("ready")
	switch fd, isFD := strings.CutPrefix(ready, "fd:"); {
	case ready == "started" || ready == "notify" || ready == "check":
		e.Ready = Ready(ready)
	case isFD:
		n, err := strconv.Atoi(fd)
		if err != nil || n < 3 || n > 255 || strconv.Itoa(n) != fd {
			d.Problems.Errorf(k.Value.Pos, "ready: %q is no descriptor from 3 to 255: write \"fd:3\"", ready)
		}
		e.Ready, e.ReadyFD = ReadyFD, n
	default:
		d.Problems.Errorf(k.Value.Pos, `ready is "started", "notify", "fd:3" or "check", not %q%s`,
			ready, toml.DidYouMean(ready, []string{"started", "notify", "check"}))
	}
	if k != nil && e.Type == Oneshot {
		d.Problems.Warnf(k.Pos, "ready says nothing of a oneshot: it is up when it has exited with 0")
	}
	d.command("check", &e.Check)
	d.Time("check_every", &e.CheckEvery)
	check := d.Table.Get("check")
	switch {
	case e.Ready == ReadyCheck && check == nil && !d.Table.Broken:
		d.Problems.Errorf(k.Pos, `ready = "check" needs check: write check = ["program", "argument"]`)
	case e.Ready != ReadyCheck && check != nil:
		d.Problems.Errorf(check.Pos, `check is asked only with ready = "check"`)
	}
	d.Time("start_timeout", &d.def.Policy.StartTimeout)
	d.positive("check_every", e.CheckEvery)
	d.positive("start_timeout", d.def.Policy.StartTimeout)
}

func (d *decoder) positive(name string, t time.Duration) {
	if k := d.Table.Get(name); k != nil && t <= 0 {
		d.Problems.Errorf(k.Value.Pos, "%s must be more than nothing", name)
	}
}

func (d *decoder) restarts() {
	p := &d.def.Policy
	one(d, "restart", &p.Restart, RestartAlways, RestartOnFailure, RestartNever)
	if d.def.Exec.Type == Oneshot && p.Restart == RestartAlways {
		p.Restart = RestartOnFailure // a oneshot that has succeeded is up; there is nothing to start again
	}
	if t := d.Sub("backoff"); t != nil {
		sub := toml.Decode(t, "backoff", d.Problems)
		sub.Prefix = "backoff."
		sub.Time("first", &p.BackoffFirst)
		sub.Time("max", &p.BackoffMax)
		sub.Time("reset_after", &p.ResetAfter)
		sub.Done()
		switch {
		case p.BackoffFirst <= 0:
			d.Problems.Errorf(t.Pos, "backoff: first must be more than nothing: a service that cannot start would never let go")
		case p.BackoffMax < p.BackoffFirst:
			d.Problems.Errorf(t.Pos, "backoff: max (%s) must not be less than first (%s)", p.BackoffMax, p.BackoffFirst)
		}
	}
	if t := d.Sub("give_up"); t != nil {
		sub := toml.Decode(t, "give_up", d.Problems)
		sub.Prefix = "give_up."
		sub.Int("failures", &p.GiveUpFailures, 0, 1000)
		sub.Time("within", &p.GiveUpWithin)
		sub.Done()
	}
}

func (d *decoder) stopping() {
	p := &d.def.Policy
	d.signal("stop_signal", &p.StopSignal)
	d.Time("shutdown_timeout", &p.ShutdownTimeout)
	one(d, "kill_mode", &p.KillMode, KillAll, KillMain)
	d.signal("reload_signal", &p.ReloadSignal)
	d.Bool("start_at_boot", &p.StartAtBoot)
	if p.StartAtBoot && IsTemplate(d.def.Name) {
		d.Problems.Errorf(d.Table.Get("start_at_boot").Pos, "start_at_boot: %s is a template, and no instance of it is named: write a rule, or a service of its own", d.def.Name)
	}
}

func (d *decoder) signal(key string, to *string) {
	var text string
	if d.Text(key, &text); text == "" {
		return
	}
	name, ok := rule.Signal(text)
	if !ok {
		d.Problems.Errorf(d.Table.Get(key).Value.Pos, "%s: there is no signal %q%s", key, text, toml.DidYouMean(name, rule.Signals()))
		return
	}
	*to = name
}

func (d *decoder) relations() {
	p := &d.def.Policy
	d.names("needs", &p.Needs)
	d.names("wants", &p.Wants)
	d.names("after", &p.After)
}

// names reads a list of services, in which {instance} is this one's.
func (d *decoder) names(key string, to *[]string) {
	d.Texts(key, to)
	k := d.Table.Get(key)
	if k == nil || k.Value.Kind != toml.List {
		return
	}
	for i, v := range k.Value.List {
		if v.Kind != toml.Text {
			continue // said before
		}
		wrong := rule.CheckRequire(v.Text, "")
		if slices.Contains((*to)[:min(i, len(*to))], v.Text) {
			wrong = toml.Quote(v.Text) + " stands there twice"
		}
		if wrong == "" {
			wrong = d.checkInstance(v.Text)
		}
		if wrong == "" && len(match.Refs(v.Text)) == 0 {
			wrong = CheckName(v.Text)
		}
		if wrong != "" {
			d.Problems.Errorf(v.Pos, "%s: %s", key, wrong)
			continue
		}
		d.def.Refs = append(d.def.Refs, Ref{key, v.Text, v.Pos})
	}
}

// checkInstance allows no word but {instance}, and that only in a template.
func (d *decoder) checkInstance(name string) string {
	for _, word := range match.Refs(name) {
		switch {
		case word != "instance":
			return toml.Quote(name) + ": only {instance} can stand here, not {" + word + "}"
		case !IsTemplate(d.def.Name):
			return toml.Quote(name) + ": " + d.def.Name + " is no template, so it has no instance"
		}
	}
	if slices.Contains([]string{"%i", "%I", "$1"}, name[strings.IndexByte(name, '@')+1:]) {
		return toml.Quote(name) + ": write {instance}"
	}
	return ""
}
