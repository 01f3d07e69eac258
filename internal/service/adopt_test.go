package service

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestAdopt tells what a new daemon makes of what the last one wrote and of what
// is there: definition | state as written | what is there | state and acts. What
// is there is `live COMMAND`, `left` (leftovers only) or nothing. The deaths are
// those between any two steps of a start and a stop (windows of one start).
func TestAdopt(t *testing.T) {
	for line := range strings.Lines(`
| rest | | rest fresh
| rest | live main | up
notify | rest | live main | starting +1m0s
pre | rest | live pre | pre +10s
| rest | left | rest fresh KILL:1

pre | pre in-flight | | sweeping none lost +10s sweep:1
pre | pre in-flight | live pre | pre +10s
pre | pre | live pre | pre +10s
pre | pre | | sweeping none lost +10s sweep:1
pre | pre | left | sweeping none lost +10s sweep:1

| starting in-flight | | sweeping none lost +10s sweep:1
| starting in-flight | live main | up
notify | starting | live main | starting +1m0s
| starting | | sweeping none lost +10s sweep:1
oneshot | starting in-flight | | sweeping none lost +10s sweep:1
oneshot | starting in-flight | live main | starting +1m0s
oneshot | starting | | up none
oneshot | starting | left | up none

| up | live main | up
notify | up | live main | up
| up | | sweeping none lost +10s sweep:1
| up | left | sweeping none lost +10s sweep:1
oneshot | up none | | up none

| stopping | live main | up
| stopping | | sweeping none ordered +10s sweep:1
| stopping crash killed | | sweeping none crash +10s sweep:1
| stopping | left | sweeping none ordered +10s sweep:1
oneshot undo | stopping undo | live undo | stopping ordered +10s
oneshot undo | stopping undo | | sweeping none ordered +10s sweep:1
oneshot undo | stopping undo in-flight | | up none

| sweeping crash | | sweeping none crash +10s sweep:1
| sweeping crash killed | left | sweeping none crash +10s sweep:1

post | post in-flight crash | | post in-flight crash +10s spawn post:2
post | post in-flight crash | live post | post crash +10s
post | post crash | live post | post crash +10s
post | post crash | | rest backoff
post | post ordered | | rest fresh

| stuck crash | | sweeping none crash +10s sweep:1
| stuck crash | live main | up
post | stuck post crash | | rest backoff
`) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "|")
		d, m := parts(strings.TrimSpace(f[0]), strings.TrimSpace(f[1]))
		d.Policy.StartTimeout = time.Minute
		there := strings.TrimSpace(f[2])
		command, live := strings.CutPrefix(there, "live ")
		if live {
			for c := range commands {
				if c.String() == command {
					m.Command, m.Pid, m.Started = c, 7, 9
				}
			}
		}
		attempt := m.Attempt
		acts := m.Adopt(now, d, live, there == "left")
		if got := m.tell(acts); got != strings.TrimSpace(f[3]) {
			t.Errorf("%s: now %s", strings.TrimSpace(line), got)
		}
		check(t, line, d, m, acts)
		if spawned := m.Attempt - attempt; spawned != 0 && (m.State != Post || spawned != 1) {
			t.Errorf("%s: adoption spawned %d", line, spawned)
		}
		if m.Killed {
			t.Errorf("%s: the last daemon's KILL counts", line)
		}
	}
}

// TestAdoptedIsNotKilled: an adopted daemon may have said READY to nobody.
func TestAdoptedIsNotKilled(t *testing.T) {
	d, m := parts("notify", "starting")
	m.Adopt(now, d, true, false)
	if acts := m.Step(m.Deadline, d, Event{Kind: Timer, Attempt: 1}); m.State != Up || len(acts) != 0 {
		t.Errorf("at its time-out: %s", m.tell(acts))
	}
	// the next run is its own again
	m.Step(now, d, Event{Kind: Exited, Attempt: 1, Exit: Exit{Code: 1}})
	m.Step(now, d, Event{Kind: Empty, Attempt: 1})
	m.Step(now, d, Event{Kind: Start})
	m.Step(now, d, Event{Kind: Spawned, Attempt: m.Attempt, Pid: 5})
	if acts := m.Step(m.Deadline, d, Event{Kind: Timer, Attempt: m.Attempt}); m.State != Stopping || len(acts) != 1 {
		t.Errorf("a run of our own at its time-out: %s", m.tell(acts))
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		first, max time.Duration
		want       []time.Duration
	}{
		{500 * time.Millisecond, 30 * time.Second, []time.Duration{500e6, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9}},
		{time.Second, 8 * time.Second, []time.Duration{1e9, 2e9, 4e9, 8e9, 8e9}},
		{time.Second, 7 * time.Second, []time.Duration{1e9, 2e9, 4e9, 7e9, 7e9}},
		{5 * time.Second, 5 * time.Second, []time.Duration{5e9, 5e9, 5e9}},
		{9 * time.Second, 5 * time.Second, []time.Duration{9e9, 9e9}}, // first is the least, whatever max says
		{time.Hour, 1 << 62, []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour}},
	} {
		p := &Policy{BackoffFirst: c.first, BackoffMax: c.max}
		for i, want := range c.want {
			if got := backoff(p, i+1); got != want {
				t.Errorf("first %v, max %v, failure %d: %v, want %v", c.first, c.max, i+1, got, want)
			}
		}
		for _, n := range []int{50, 100, 1_000_000} { // no overflow, no long loop
			if got := backoff(p, n); got < c.first || got > max(c.max, c.first) {
				t.Errorf("first %v, max %v, failure %d: %v", c.first, c.max, n, got)
			}
		}
	}
}

// TestCrashes tells runs of a daemon by how long each lived: its failures, when
// it may start again, and when it gives up.
func TestCrashes(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		set   func(*Policy)
		lived []time.Duration
		fails []int
		waits []time.Duration
		last  Why
	}{
		{"at once, again and again", func(*Policy) {}, []time.Duration{0, 0, 0, 0}, []int{1, 2, 3, 4}, []time.Duration{500 * ms, time.Second, 2 * time.Second, 4 * time.Second}, Backoff},
		{"a long life in between", func(*Policy) {}, []time.Duration{0, 0, 10 * time.Second, 0}, []int{1, 2, 1, 2}, []time.Duration{500 * ms, time.Second, 500 * ms, time.Second}, Backoff},
		{"not quite long enough", func(*Policy) {}, []time.Duration{0, 9999 * ms}, []int{1, 2}, []time.Duration{500 * ms, time.Second}, Backoff},
		{"gives up at the third", func(p *Policy) { p.GiveUpFailures = 3 }, []time.Duration{0, 0, 0}, []int{1, 2, 3}, nil, Failed},
		{"the failures are too far apart", func(p *Policy) { p.GiveUpFailures, p.GiveUpWithin = 3, 5*time.Second }, []time.Duration{0, 6 * time.Second, 6 * time.Second, 6 * time.Second}, []int{1, 2, 3, 4}, nil, Backoff},
		{"long lives count for giving up", func(p *Policy) { p.GiveUpFailures, p.GiveUpWithin = 2, time.Hour }, []time.Duration{time.Minute, time.Minute}, []int{1, 1}, nil, Failed},
		{"never", func(p *Policy) { p.Restart = RestartNever }, []time.Duration{time.Hour}, []int{1}, nil, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := New("x")
			d.Exec.Start = []string{"x"}
			c.set(&d.Policy)
			at := now
			var m Machine
			for i, lived := range c.lived {
				m.Step(at, &d, Event{Kind: Start})
				m.Step(at, &d, Event{Kind: Spawned, Attempt: m.Attempt, Pid: 1})
				at += lived
				m.Step(at, &d, Event{Kind: Exited, Attempt: m.Attempt, Exit: Exit{Code: 1}})
				m.Step(at, &d, Event{Kind: Empty, Attempt: m.Attempt})
				if m.Fails != c.fails[i] {
					t.Errorf("run %d: %d failures, want %d", i+1, m.Fails, c.fails[i])
				}
				if c.waits != nil && m.NotBefore-at != c.waits[i] {
					t.Errorf("run %d: waits %v, want %v", i+1, m.NotBefore-at, c.waits[i])
				}
				if i < len(c.lived)-1 && m.Why != Backoff {
					t.Fatalf("run %d: %v", i+1, m.Why)
				}
				at = max(at, m.NotBefore)
			}
			if m.Why != c.last {
				t.Errorf("at last it is %v, want %v", m.Why, c.last)
			}
			m.Forgive()
			if m.Why != Fresh || m.Fails != 0 || m.NotBefore != 0 || len(m.Failures) != 0 {
				t.Errorf("forgiven, it still has %+v", m)
			}
		})
	}
}

// TestMachineWalk: legal events in any order keep a machine whole; from wherever
// it is, a stop and what follows bring it to rest; and JSON gives it back.
func TestMachineWalk(t *testing.T) {
	defs := []string{"", "pre post", "notify", "pre notify post", "oneshot", "oneshot undo post", "pre idle oneshot undo", "never", "on-failure post", "give-up"}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 11))
		d, m := parts(defs[r.IntN(len(defs))], "rest")
		at := now
		for range 40 {
			at += time.Duration(r.IntN(5000)) * time.Millisecond
			e := walkEvent(r, m, at)
			if e.Kind < Events {
				acts := m.Step(at, d, e)
				check(t, m.State.String(), d, m, acts)
			}
		}
		for n := 0; m.State != Rest; n++ {
			if n > 20 {
				t.Fatalf("seed %d: it does not come to rest: %s", seed, m.tell(nil))
			}
			m.Step(at, d, homeEvent(m))
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Machine
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, *m) {
			t.Fatalf("seed %d: %s gave %+v, %v", seed, b, back, err)
		}
	}
}

// walkEvent is something that could happen now; Kind Events for nothing.
func walkEvent(r *rand.Rand, m *Machine, at time.Duration) Event {
	e := Event{Kind: EventKind(r.IntN(int(Events))), Attempt: m.Attempt, Pid: 3, Started: 4, NoExec: r.IntN(5) == 0}
	e.Exit = []Exit{{}, {Code: 1}, {Signal: "SEGV"}, {Unknown: true}}[r.IntN(4)]
	possible := Possible(m.State, e.Kind)
	switch e.Kind {
	case Spawned, SpawnError:
		possible = possible && m.Process == InFlight
	case Exited:
		possible = possible && m.Process == Known
	case Timer:
		possible = possible && m.Deadline > 0 && m.Deadline <= at
	case SaidReady:
		possible = possible && (m.State != Up || m.Process != NoProcess)
	}
	if !possible {
		e.Kind = Events
	}
	return e
}

// homeEvent is what a benign world answers to a machine that is to rest.
func homeEvent(m *Machine) Event {
	e := Event{Attempt: m.Attempt, Pid: 3}
	switch {
	case m.Active():
		e.Kind = Stop
	case m.Process == InFlight:
		e.Kind = Spawned
	case m.Process == Known:
		e.Kind = Exited
	default:
		e.Kind = Empty
	}
	return e
}
