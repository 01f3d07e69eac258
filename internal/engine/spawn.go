package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

// freeze decides what a run is made of: the definition's commands, and the
// words of the object that it runs for. Both stay as they are until it rests.
func (c *Core) freeze(u *Unit) {
	u.Run = Run{Exec: u.def.Exec}
	u.eff.Exec = u.def.Exec
	h := u.primary()
	u.Run.Key = h.Life.Key
	u.Run.Rule, _ = h.Rule()
	if o := c.Objects.Get(h.Life.Key); o != nil {
		u.Run.Primary, u.Run.Words = o.Label(), o.Words
	}
}

var noHold = &hold.Hold{}

// primary is the hold whose object's words the commands see: the oldest live
// one; for a service that others need, the one of those that need it.
func (u *Unit) primary() *hold.Hold {
	if h := u.ownPrimary(); h != noHold {
		return h
	}
	for _, d := range u.neededBy {
		if h := d.primary(); h != noHold {
			return h
		}
	}
	return noHold
}

func (u *Unit) ownPrimary() *hold.Hold {
	best := noHold
	for i := range u.Holds {
		h := &u.Holds[i]
		if h.Life.Key.ID == "" || h.Phase == hold.Suppressed {
			continue
		}
		if best == noHold || h.Number < best.Number {
			best = h
		}
	}
	return best
}

// spawn makes the order to start one of a run's commands: all words replaced.
func (u *Unit) spawn(cmd service.Command, opt *Options) (*service.Spawn, error) {
	x := &u.Run.Exec
	argv, key := x.Start, "exec_start"
	switch cmd {
	case service.CommandPre:
		argv, key = x.Pre, "exec_start_pre"
	case service.CommandPost:
		argv, key = x.Post, "exec_stop_post"
	case service.CommandUndo:
		argv, key = x.Stop, "exec_stop"
	}
	s := &service.Spawn{Service: u.Name, Attempt: u.Machine.Attempt, Command: cmd, Umask: -1, Log: x.Log, LogFile: u.eff.Policy.LogFile, Cwd: "/", CopyOf: x.CopyOf}
	var err error
	word := u.word
	if cmd == service.CommandPost {
		word = u.ending
	}
	if s.Argv, err = service.ReplaceWords(argv, word); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s.Env = u.env(opt)
	for _, v := range x.Env {
		value, err := service.ReplaceWords([]string{v.Value}, u.word)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		s.Env = setEnv(s.Env, v.Name, value[0])
	}
	if cmd == service.CommandPost && u.Exit != nil {
		code, what := "", u.Exit.Signal
		if u.Exit.Signal == "" && !u.Exit.Unknown {
			code, what = "exited", fmt.Sprint(u.Exit.Code)
		} else if u.Exit.Signal != "" {
			code = "killed"
		}
		s.Env = append(s.Env, "EXIT_CODE="+code, "EXIT_STATUS="+what)
	}
	s.EnvFile = x.EnvFile
	if x.Cwd != "" {
		cwd, err := service.ReplaceWords([]string{x.Cwd}, u.word)
		if err != nil {
			return nil, fmt.Errorf("cwd: %w", err)
		}
		s.Cwd = cwd[0]
	}
	if cmd != service.CommandMain {
		return s, nil
	}
	s.Input = x.Input
	s.User, s.Group, s.Groups, s.Umask, s.Nice = x.User, x.Group, x.Groups, x.Umask, x.Nice
	s.Limits, s.Caps, s.NoNewPrivs = x.Limits, x.Capabilities, x.NoNewPrivs
	if x.Type == service.Daemon {
		s.Ready, s.ReadyFD, s.CheckEvery = x.Ready, x.ReadyFD, int64(x.CheckEvery)
		if s.Check, err = service.ReplaceWords(x.Check, u.word); err != nil {
			return nil, fmt.Errorf("check: %w", err)
		}
	}
	return s, nil
}

// word gives a word of the run's object, or the instance.
func (u *Unit) word(name string) (string, bool) {
	if name == "instance" {
		return u.instance, u.instance != ""
	}
	if v := u.Run.Words[name]; len(v) > 0 {
		return v[0], true
	}
	return "", false
}

// env is the environment of a command. Nothing in it comes from a uevent
// unseen: names are made from words, values lose what no value can hold.
func (u *Unit) env(opt *Options) []string {
	base := opt.Env
	if u.Run.Exec.InheritEnv {
		base = opt.OwnEnv
	}
	env := append(slices.Clone(base),
		"HOTSVC_SERVICE="+u.Name, "HOTSVC_INSTANCE="+u.instance, "HOTSVC_OBJECT="+u.Run.Primary, "HOTSVC_RULE="+u.Run.Rule)
	for _, word := range slices.Sorted(maps.Keys(u.Run.Words)) {
		if values := u.Run.Words[word]; len(values) > 0 {
			env = append(env, "HOTSVC_ATTR_"+envName(word)+"="+clean(strings.Join(values, " ")))
		}
	}
	alias := map[string]string{"INTERFACE": "name", "IFINDEX": "index"}
	if u.Run.Key.Kind == object.Device {
		alias = map[string]string{"DEVNAME": "DEVNAME", "DEVPATH": "DEVPATH", "SUBSYSTEM": "SUBSYSTEM"}
	}
	for _, name := range slices.Sorted(maps.Keys(alias)) {
		value, ok := u.word(alias[name])
		if !ok {
			continue
		}
		if name == "DEVNAME" && !strings.HasPrefix(value, "/") {
			value = "/dev/" + value
		}
		env = append(env, name+"="+clean(value))
	}
	return env
}

func clean(value string) string { return strings.ReplaceAll(value, "\x00", "") }

// envName makes a name for the environment of a word: ATTR{idVendor} is ATTR_IDVENDOR.
func envName(word string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, word), "_")
}

func setEnv(env []string, name, value string) []string {
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(env, name+"="+clean(value))
}
