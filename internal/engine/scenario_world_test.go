package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/service"
)

// storyProc is the process of a service's latest attempt.
type storyProc struct {
	attempt int64
	command service.Command
	pid     int
	alive   bool
	hung    bool // in a clone that does not return
	doomed  bool // killed while it was stuck
	left    bool // it left processes behind
	noted   bool // its note is on disk
}

type storyTree struct {
	service string
	attempt int64
}

// manner is how the processes of a service take it.
type manner struct {
	term                time.Duration
	deaf, stuck, leaves bool
}

func (s *story) mannerOf(name string) *manner {
	if s.manner[name] == nil {
		s.manner[name] = &manner{term: 100 * time.Millisecond}
	}
	return s.manner[name]
}

// storyWords splits a line into words; "…" holds one together.
func storyWords(line string) []string {
	var out []string
	in := false
	for _, f := range strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			in = !in
		}
		return r == ' ' && !in
	}) {
		out = append(out, strings.ReplaceAll(f, `"`, ""))
	}
	return out
}

// do does what a line says; its inputs go into one Step.
func (s *story) do(line string) {
	var in []Input
	for _, part := range strings.Split(line, " ; ") {
		in = append(in, s.input(storyWords(part))...)
	}
	if len(in) > 0 && s.core != nil { // nobody hears what happens without a daemon
		s.step(in...)
	}
}

func (s *story) input(f []string) []Input {
	arg := func(i int) string {
		if i >= len(f) {
			s.t.Fatalf("%q: something is missing", f)
		}
		return f[i]
	}
	switch f[0] {
	case "link", "device", "mount", "clock", "gone", "move":
		if b := s.change(f); s.core != nil {
			return s.told(b)
		}
	case "lost":
		s.change(f[1:])
	case "full", "resync", "source":
		return s.source(f)
	case "call":
		return []Input{{Call: s.parseCall(f[1:])}}
	case "hangup":
		id, _ := strconv.Atoi(arg(1))
		return []Input{{Hangup: int64(id)}}
	case "dies":
		for c := range s.clients {
			if strconv.Itoa(c.Pid) == arg(1) {
				delete(s.clients, c)
				return []Input{{Gone: &c}}
			}
		}
		s.t.Fatalf("there is no client %s", arg(1))
	case "reload":
		without := []string{}
		if len(f) > 2 {
			without = f[3:]
		}
		return []Input{{Config: s.config(arg(1), without)}}
	case "plan":
		s.plan(s.config(append(f, "")[1], nil))
	case "daemon":
		if arg(1) == "dies" {
			s.core, s.epoch = nil, s.epoch+1
			return nil
		}
		s.start(append(f, "")[2])
	case "show":
		s.say("interest: attributes %v, default routes %v", s.interest.Attrs, s.interest.DefaultRoutes)
	default:
		return s.processInput(f, arg)
	}
	return nil
}

func (s *story) processInput(f []string, arg func(int) string) []Input {
	name, key := arg(1), arg(1)
	for _, c := range []string{".pre", ".post", ".undo"} {
		name = strings.TrimSuffix(name, c)
	}
	m, p := s.mannerOf(name), s.procs[name]
	switch f[0] {
	case "exit":
		x := service.Exit{Signal: arg(2)}
		if code, err := strconv.Atoi(arg(2)); err == nil {
			x = service.Exit{Code: code}
		}
		if p == nil || !p.alive {
			s.t.Fatalf("%q: it has no process", f)
		}
		s.exit(name, p, x)
	case "ready":
		s.post(processEvent(name, service.Event{Kind: service.SaidReady, Attempt: p.attempt}))
	case "free":
		m.stuck = false
		if p.hung {
			p.hung = false
			s.born(name, p)
		}
		if p.doomed {
			s.kill(name, p.attempt)
		}
	case "term":
		d, err := time.ParseDuration(arg(2))
		if err != nil {
			s.t.Fatal(err)
		}
		m.term = d
	case "deaf":
		m.deaf = true
	case "stuck":
		m.stuck = true
	case "leaves":
		m.leaves = true
	case "next":
		s.next[key] = strings.Join(f[2:], " ")
	case "always":
		if s.always[key] = strings.Join(f[2:], " "); s.always[key] == "behaves" {
			delete(s.always, key)
		}
	default:
		s.t.Fatalf("%q: what is that?", f)
	}
	return nil
}

// spawn is what a clone comes to.
func (s *story) spawn(e *Effect) {
	key := e.Service
	if e.Command != service.CommandMain {
		key += "." + e.Command.String()
	}
	how, ok := s.next[key]
	if !ok {
		how = s.always[key]
	}
	delete(s.next, key)
	s.say("run %s: %s", key, strings.Join(e.Spawn.Argv, " "))
	if text, ok := strings.CutPrefix(how, "fails "); ok {
		reason, noExec := strings.CutPrefix(text, "no-exec: ")
		s.post(processEvent(e.Service, service.Event{Kind: service.SpawnError, Attempt: e.Attempt, NoExec: noExec, Error: reason}))
		return
	}
	if tree := (storyTree{e.Service, e.Attempt}); s.letBe[tree] { // as with cgroups
		s.post(processEvent(e.Service, service.Event{Kind: service.SpawnError, Attempt: e.Attempt, Error: "processes of an earlier life are in its tree"}))
		return
	}
	s.lives++
	p := &storyProc{attempt: e.Attempt, command: e.Command, pid: 1000 + int(s.lives), hung: how == "hangs"}
	s.procs[e.Service] = p
	if p.hung {
		return
	}
	s.born(e.Service, p)
	code, delay := 0, time.Duration(0)
	if rest, ok := strings.CutPrefix(how, "exits "); ok {
		fmt.Sscanf(rest, "%d after %s", &code, &rest)
		delay, _ = time.ParseDuration(rest)
	} else if e.Command == service.CommandMain && s.core.Units[e.Service].eff.Exec.Type == service.Daemon {
		return // lives until it is told to end
	}
	s.after(delay, func() { s.exit(e.Service, p, service.Exit{Code: code}) })
}

func (s *story) born(name string, p *storyProc) {
	p.alive, p.noted = true, true
	s.post(processEvent(name, service.Event{Kind: service.Spawned, Attempt: p.attempt, Pid: p.pid, Started: uint64(p.pid)}))
}

func (s *story) exit(name string, p *storyProc, x service.Exit) {
	if !p.alive {
		return
	}
	p.alive = false
	left := 0
	if p.left = s.mannerOf(name).leaves; p.left {
		left = 1
	}
	s.post(processEvent(name, service.Event{Kind: service.Exited, Attempt: p.attempt, Exit: x, Left: left}))
}

// kill is KILL to all that an attempt has.
func (s *story) kill(name string, attempt int64) {
	p := s.procs[name]
	if p == nil || p.attempt != attempt {
		return
	}
	if s.mannerOf(name).stuck {
		p.doomed = true
		return
	}
	p.doomed = false
	s.exit(name, p, service.Exit{Signal: "KILL"})
	p.left, p.noted = false, false
	if !p.hung {
		s.post(processEvent(name, service.Event{Kind: service.Empty, Attempt: attempt}))
	}
}

// effect does what the core wants done, and tells of it.
func (s *story) effect(e *Effect) {
	m := s.mannerOf(e.Service)
	p := s.procs[e.Service]
	mine := p != nil && p.attempt == e.Attempt
	switch e.Kind {
	case EffectSave:
		s.disk[e.Service] = e.Record
	case EffectForget:
		delete(s.disk, e.Service)
	case EffectGlobal:
		s.global = e.Record
	case EffectSpawn:
		s.spawn(e)
	case EffectTerm:
		s.say("%s %s", e.Signal, e.Service)
		if e.Spawn != nil {
			s.say("after: %s", strings.Join(e.Spawn.Argv, " "))
		}
		if mine && !m.deaf && !m.stuck {
			s.after(m.term, func() { s.exit(e.Service, p, service.Exit{Signal: e.Signal}) })
		}
	case EffectKill:
		s.say("KILL %s", e.Service)
		s.kill(e.Service, e.Attempt)
	case EffectSweep:
		s.sweep(e, p, mine)
	case EffectRetire:
		if mine {
			p.noted = false
		}
	case EffectSignal:
		s.say("%s %s", e.Signal, e.Service)
	case EffectLinkUp:
		s.say("set link %d up", e.Ifindex)
		s.after(0, func() { s.do(fmt.Sprintf("link %d up=true", e.Ifindex)) })
	case EffectInterest:
		s.interest = e.Interest
	case EffectWatch:
		if !s.clients[*e.Client] {
			s.post(Input{Gone: e.Client})
		}
	case EffectLog:
		if !strings.HasPrefix(e.Text, "source ") {
			s.say("%s", e.Text)
		}
	case EffectReply:
		s.reply(e.Reply)
	}
}

// sweep ends what a run left behind; with kill_mode = "main" it is let be.
func (s *story) sweep(e *Effect, p *storyProc, mine bool) {
	empty := func() {
		if mine {
			p.noted = false
		}
		s.post(processEvent(e.Service, service.Event{Kind: service.Empty, Attempt: e.Attempt}))
	}
	switch {
	case !mine || !p.left:
		empty()
	case !e.KillAll:
		s.say("the rest of %s is let be", e.Service)
		s.letBe[storyTree{e.Service, e.Attempt}] = true
		empty()
	default:
		s.say("%s to the rest of %s", e.Signal, e.Service)
		if m := s.mannerOf(e.Service); !m.deaf && !m.stuck {
			s.after(m.term, func() { p.left = false; empty() })
		}
	}
}

// live is what a new daemon finds.
func (s *story) live() map[string]Live {
	live := map[string]Live{}
	for name, p := range s.procs {
		if p.alive {
			live[name] = Live{Attempt: p.attempt, Command: p.command, Pid: p.pid, Started: uint64(p.pid)}
		} else if p.noted {
			live[name] = Live{Attempt: p.attempt, Command: p.command, Left: p.left}
		}
	}
	return live
}
