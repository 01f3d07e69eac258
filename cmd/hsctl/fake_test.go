package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

// fakeDaemon is the real control server before an engine that only pretends:
// what is held is up at once. It knows the services of a directory by name.
type fakeDaemon struct {
	server *control.Server
	end    func()

	mu        sync.Mutex
	services  map[string]*fakeService
	templates map[string]string // description
	monitors  []engine.Call
	waiters   []engine.Call
	suspended bool
	problems  []toml.Problem
	deaf      bool // posts are lost, as when a daemon dies over them
	calls     int
}

type fakeService struct {
	status.Service
	holds map[string]int
	slow  bool // never gets up
	count int64
}

var (
	fakeSince   = time.Date(2026, 11, 20, 10, 31, 2, 123456789, time.UTC)
	description = regexp.MustCompile(`(?m)^description\s*=\s*"(.*)"`)
)

// startFake reads DIR/services/*.toml and listens on DIR/control.
func startFake(dir string) (daemon, error) {
	f := &fakeDaemon{services: map[string]*fakeService{}, templates: map[string]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "services", "*.toml"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		what := ""
		if m := description.FindSubmatch(text); m != nil {
			what = string(m[1])
		}
		if strings.HasSuffix(name, "@") {
			f.templates[name] = what
			continue
		}
		f.add(name, what).slow = strings.Contains(string(text), "ready")
	}
	f.server = &control.Server{Post: f.post, Reload: f.reload, Version: "0.0-fake", Group: -1}
	l, err := control.Listen(filepath.Join(dir, "control"), -1)
	if err != nil {
		return nil, err
	}
	f.serve(l)
	return f, nil
}

func (f *fakeDaemon) serve(l *net.UnixListener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan bool)
	go func() {
		defer close(done)
		f.server.Serve(ctx, l)
	}()
	f.end = func() { cancel(); <-done; l.Close() }
}

func (f *fakeDaemon) stop() { f.end() }

// set makes the daemon lose what is posted, or its files be wrong.
func (f *fakeDaemon) set(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch what {
	case "deaf":
		f.deaf = true
	case "problem":
		f.problems = []toml.Problem{{Pos: toml.Pos{File: "rules.d/50-wired.toml", Line: 4, Col: 1}, Text: `"requires": did you mean require?`}}
	}
}

func (f *fakeDaemon) add(name, what string) *fakeService {
	s := &fakeService{holds: map[string]int{}}
	s.Name, s.Description, s.Type, s.State, s.Want, s.Since = name, what, "daemon", "down", "down", fakeSince
	s.Reason = "nothing holds it"
	if template, instance, ok := strings.Cut(name, "@"); ok {
		template += "@"
		s.Template, s.Instance = &template, &instance
		label := "link:3:" + instance
		s.Primary = &label
	}
	f.services[name] = s
	return s
}

func (f *fakeDaemon) reload(context.Context) ([]toml.Problem, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.problems, nil
}

func (f *fakeDaemon) post(in engine.Input) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	switch {
	case f.deaf:
	case in.Call != nil:
		r, later := f.answer(*in.Call)
		if !later {
			r.ID = in.Call.ID
			f.server.Deliver(r)
		}
	default:
		gone := func(c engine.Call) bool { return c.ID == in.Hangup }
		f.waiters = slices.DeleteFunc(f.waiters, gone)
		f.monitors = slices.DeleteFunc(f.monitors, gone)
	}
}

// answer is the whole engine. later: the answer comes by itself.
func (f *fakeDaemon) answer(c engine.Call) (r engine.Reply, later bool) {
	switch c.Verb {
	case engine.VerbStatus:
		return engine.Reply{Value: f.report(c.Services)}, false
	case engine.VerbMonitor:
		f.monitors = append(f.monitors, c)
		return r, true
	case engine.VerbObjects:
		return engine.Reply{Value: []status.Object{{Key: "link:3", Name: "wan0", Words: object.Words{
			"name": {"wan0"}, "running": object.Bool(true), "address4": {"192.0.2.7/24", "198.51.100.1/32"}, "ssid": nil,
		}, Cause: "rtnetlink newlink", Since: fakeSince, Holds: []string{"dhcp@wan0"}}}}, false
	case engine.VerbRules:
		return engine.Reply{Value: []status.Rule{{Name: "wired-dhcp", Where: "rules.d/50-wired.toml:4", Object: "link",
			Require: []string{"dhcp@{name}"}, Match: "{ running = true }",
			Matches: []status.Match{{Object: "link:3:wan0", Holds: []string{"dhcp@wan0"}}}}}}, false
	case engine.VerbStopAll, engine.VerbSuspend, engine.VerbResume:
		f.suspended = c.Verb != engine.VerbResume
		for _, name := range f.names() {
			f.settle(f.services[name], string(c.Verb))
		}
		return engine.Reply{Value: status.Done{Text: string(c.Verb) + " done"}}, false
	}
	var done []status.Done
	for _, name := range c.Services {
		s := f.find(name)
		if s == nil {
			return engine.Reply{Code: engine.CodeUnknown, Error: "no service " + name + ": hsctl status lists what there is"}, false
		}
		if c.Verb == engine.VerbWhy {
			return f.why(s), false
		}
		if why := f.do(c, s); why != "" {
			return engine.Reply{Code: engine.CodeNo, Error: name + ": " + why}, false
		}
		if !c.NoWait && !f.met(c, s) {
			return f.wait(c, s)
		}
		done = append(done, status.Done{Service: name, State: s.State, Text: s.State})
	}
	return engine.Reply{Value: done}, false
}

func (f *fakeDaemon) met(c engine.Call, s *fakeService) bool {
	switch c.Verb {
	case engine.VerbRequire, engine.VerbHold, engine.VerbStart:
		return s.State == "up"
	case engine.VerbWait:
		return (s.State == "up") == (c.For != "down")
	}
	return true
}

func (f *fakeDaemon) wait(c engine.Call, s *fakeService) (engine.Reply, bool) {
	if c.Timeout == 0 && c.Verb == engine.VerbWait {
		return engine.Reply{Code: engine.CodeNo, Error: s.Name + " is " + s.State + ": " + s.Reason}, false
	}
	f.waiters = append(f.waiters, c)
	if c.Timeout >= 0 {
		time.AfterFunc(c.Timeout, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.waiters = slices.DeleteFunc(f.waiters, func(w engine.Call) bool { return w.ID == c.ID })
			if c.Verb != engine.VerbWait {
				delete(s.holds, holder(c))
				f.settle(s, "nobody waits for it")
			}
			f.server.Deliver(engine.Reply{ID: c.ID, Code: engine.CodeTimeout, Error: s.Name + " is not up after " + c.Timeout.String() + ": it is " + s.State})
		})
	}
	return engine.Reply{}, true
}

func holder(c engine.Call) string {
	switch {
	case c.Verb == engine.VerbStart:
		return "admin"
	case c.Verb == engine.VerbHold:
		return fmt.Sprintf("pid:%d", c.Peer.Client.Pid)
	case c.As != "":
		return "as:" + c.As
	}
	return fmt.Sprintf("uid:%d", c.Peer.UID)
}

// do changes what is asked for, or says why not.
func (f *fakeDaemon) do(c engine.Call, s *fakeService) string {
	h := holder(c)
	switch c.Verb {
	case engine.VerbRequire, engine.VerbHold:
		s.holds[h]++
		if c.As != "" {
			s.holds[h] = 1
		}
	case engine.VerbRelease:
		if s.holds[h] == 0 {
			return h + " has no hold on it"
		}
		if s.holds[h]--; s.holds[h] == 0 {
			delete(s.holds, h)
		}
	case engine.VerbStart:
		s.Blocked = nil
		if len(s.holds) == 0 {
			s.holds[h] = 1
		}
	case engine.VerbStop, engine.VerbBlock:
		s.Blocked = &status.Blocked{By: fmt.Sprintf("uid:%d", c.Peer.UID), Kind: string(c.Verb), Since: fakeSince, UntilGone: []string{}}
		delete(s.holds, "admin")
	case engine.VerbUnblock:
		s.Blocked = nil
	case engine.VerbRestart:
		s.Restarts++
	case engine.VerbReloadService:
		return "it has no reload_signal: name one in its definition"
	case engine.VerbWait:
		return ""
	}
	f.settle(s, string(c.Verb))
	return ""
}

// settle puts a service in the state that its holds ask for.
func (f *fakeDaemon) settle(s *fakeService, why string) {
	before := s.State
	s.State, s.Want, s.Reason, s.Pid = "down", "down", "nothing holds it", nil
	switch {
	case f.suspended:
		s.Reason = "everything is suspended"
	case s.Blocked != nil:
		s.Reason = s.Blocked.Kind + " by " + s.Blocked.By
	case len(s.holds) > 0 && s.slow:
		s.State, s.Want, s.Reason = "starting", "up", "not ready yet"
	case len(s.holds) > 0:
		pid := 4711
		s.State, s.Want, s.Reason, s.Pid = "up", "up", "held", &pid
	}
	s.Holds = nil
	for _, h := range sortedKeys(s.holds) {
		s.Holds = append(s.Holds, status.Hold{Holder: h, Count: s.holds[h], Since: fakeSince})
		if s.State == "up" {
			s.Reason = "held by " + h
		}
	}
	if s.State == before {
		return
	}
	s.count++
	change := status.Change{Service: s.Name, At: fakeSince, From: before, To: s.State, Reason: why, Count: s.count}
	for _, m := range f.monitors {
		if matches(m.Services, s.Name) {
			f.server.Deliver(engine.Reply{ID: m.ID, More: true, Value: change})
		}
	}
	for _, w := range slices.Clone(f.waiters) {
		if slices.Contains(w.Services, s.Name) && f.met(w, s) {
			f.waiters = slices.DeleteFunc(f.waiters, func(o engine.Call) bool { return o.ID == w.ID })
			f.server.Deliver(engine.Reply{ID: w.ID, Value: status.Done{Service: s.Name, State: s.State, Text: s.State}})
		}
	}
}

func (f *fakeDaemon) why(s *fakeService) engine.Reply {
	w := status.Why{Service: s.Name, State: s.State, Running: s.State == "up"}
	if w.Running {
		w.Chain = []status.Step{{What: "hold", Text: s.Reason}, {What: "transition", Text: "down → up"}}
		return engine.Reply{Value: w}
	}
	remedy := "hsctl start " + s.Name
	w.Unmet, w.Remedy = &s.Reason, &remedy
	return engine.Reply{Code: engine.CodeNo, Error: s.Reason, Value: w}
}

// find returns a service; an instance of a template always is there.
func (f *fakeDaemon) find(name string) *fakeService {
	if s := f.services[name]; s != nil {
		return s
	}
	if template, instance, ok := strings.Cut(name, "@"); ok && instance != "" {
		if what, known := f.templates[template+"@"]; known {
			return f.add(name, what)
		}
	}
	return nil
}

func (f *fakeDaemon) report(patterns []string) status.Report {
	for _, p := range patterns {
		if !strings.ContainsAny(p, "*?[") {
			f.find(p)
		}
	}
	r := status.Report{Schema: status.Schema, Version: "0.0-fake", BootID: "b00t", Degraded: []string{}, Services: []status.Service{},
		Sources: []object.SourceStatus{{Name: "link", State: object.Synced, Events: 412}},
		Config:  status.Config{Generation: 1, Loaded: fakeSince, Problems: []toml.Problem{}}}
	if f.suspended {
		by := "uid:0"
		r.Suspended = &by
	}
	for _, name := range f.names() {
		if matches(patterns, name) {
			r.Services = append(r.Services, f.services[name].Service)
		}
	}
	return r
}

func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

func (f *fakeDaemon) names() []string { return sortedKeys(f.services) }

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
