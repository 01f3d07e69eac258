package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// now is when the machines of these tests are told something.
const now = time.Hour

var attemptActs = [...]string{"spawn", "TERM", "KILL", "sweep"}

// parts makes a definition of a few words, and a machine in a state of few words.
func parts(def, at string) (*Definition, *Machine) {
	d := New("x")
	d.Exec.Start = []string{"x"}
	m := &Machine{Attempt: 1, Run: 1, Since: now - time.Minute, Process: Known, Pid: 7, Started: 9, Deadline: now}
	for _, w := range strings.Fields(def) {
		switch w {
		case "pre":
			d.Exec.Pre = []string{"pre"}
		case "post":
			d.Exec.Post = []string{"post"}
		case "undo":
			d.Exec.Stop = []string{"undo"}
		case "oneshot":
			d.Exec.Type, d.Policy.Restart = Oneshot, RestartOnFailure
		case "idle":
			d.Exec.Start = nil
		case "notify":
			d.Exec.Ready = ReadyNotify
		case "on-failure", "never", "always":
			d.Policy.Restart = Restart(w)
		case "give-up":
			d.Policy.GiveUpFailures = 1
		default:
			panic(w)
		}
	}
	state, rest, _ := strings.Cut(at, " ")
	for s := range States {
		if s.String() == state {
			m.State = s
		}
	}
	if m.State == Pre {
		m.Command = CommandPre
	} else if m.State == Post {
		m.Command = CommandPost
	}
	if m.State == Rest || m.State == Sweeping {
		m.noProcess()
		m.Deadline = 0
	}
	if m.State == Up {
		m.Deadline = 0
	}
	for _, w := range strings.Fields(rest) {
		switch w {
		case "none":
			m.noProcess()
		case "in-flight":
			m.noProcess()
			m.Process = InFlight
		case "killed":
			m.Killed = true
		case "adopted":
			m.Adopted = true
		case "undo":
			m.Command = CommandUndo
		case "post":
			m.Command = CommandPost
		default:
			found := false
			for o := range outcomes {
				if o.String() == w {
					m.Outcome, found = o, true
				}
			}
			if !found {
				panic(w)
			}
		}
	}
	return &d, m
}

// tell is where a machine stands, in few words.
func (m *Machine) tell(acts []Effect) string {
	out := []string{m.State.String()}
	if m.State == Rest {
		out = append(out, m.Why.String())
	} else {
		if m.Process != Known {
			out = append(out, m.Process.String())
		}
		switch m.State {
		case Stopping, Sweeping, Post, Stuck:
			out = append(out, m.Outcome.String())
		}
		if m.Killed {
			out = append(out, "killed")
		}
		if m.Deadline > 0 {
			out = append(out, "+"+(m.Deadline-now).String())
		}
	}
	for _, a := range acts {
		what := attemptActs[a.Act]
		if a.Act == ActSpawn {
			what += " " + a.Command.String()
		}
		out = append(out, fmt.Sprintf("%s:%d", what, a.Attempt))
	}
	return strings.Join(out, " ")
}

func parseEvent(text string) Event {
	f := strings.Fields(text)
	for k := range Events {
		name := k.String()
		if !strings.HasPrefix(text+" ", name+" ") {
			continue
		}
		e := Event{Kind: k, Attempt: 1}
		arg := strings.TrimSpace(strings.TrimPrefix(text, name))
		switch {
		case k == Spawned:
			e.Pid, e.Started = 8, 10
		case k == SpawnError:
			e.NoExec, e.Error = arg == "no-exec", "wrong"
		case k == Exited && arg == "unknown":
			e.Exit.Unknown = true
		case k == Exited && arg == "SEGV":
			e.Exit.Signal = arg
		case k == Exited && arg == "1":
			e.Exit.Code = 1
		}
		return e
	}
	panic(f)
}

// cells has every legal cell, and every way through it, as
// definition | state | event | state and acts.
const cells = `
| rest | start | starting in-flight +1m0s spawn main:2
pre | rest | start | pre in-flight +10s spawn pre:2
oneshot | rest | start | starting in-flight +1m0s spawn main:2
idle | rest | start | up none
pre idle oneshot | rest | start | pre in-flight +10s spawn pre:2
| rest | ready | rest fresh
| rest | empty | rest fresh

pre | pre | stop | stopping ordered +10s TERM:1
pre | pre in-flight | stop | stopping in-flight ordered +10s
pre | pre in-flight | spawned | pre +0s
pre | pre in-flight | spawn error | sweeping none crash +10s sweep:1
pre | pre in-flight | spawn error no-exec | sweeping none no-exec +10s sweep:1
pre | pre | ready | pre +0s
pre | pre | exit 0 | starting in-flight +1m0s spawn main:2
pre idle | pre | exit 0 | up none
pre | pre | exit 1 | sweeping none crash +10s sweep:1
pre | pre | exit SEGV | sweeping none crash +10s sweep:1
pre | pre | empty | pre +0s
pre | pre | timer | stopping crash killed +5s KILL:1

| starting | stop | stopping ordered +10s TERM:1
| starting in-flight | stop | stopping in-flight ordered +10s
| starting in-flight | spawned | up
notify | starting in-flight | spawned | starting +0s
oneshot | starting in-flight | spawned | starting +0s
| starting in-flight | spawn error | sweeping none crash +10s sweep:1
| starting in-flight | spawn error no-exec | sweeping none no-exec +10s sweep:1
notify | starting | ready | up
notify | starting in-flight | ready | up in-flight
oneshot | starting | ready | starting +0s
oneshot | starting | exit 0 | up none
oneshot always | starting | exit 0 | up none
oneshot | starting | exit 1 | sweeping none crash +10s sweep:1
notify | starting | exit unknown | sweeping none lost +10s sweep:1
notify | starting | exit 0 | sweeping none crash +10s sweep:1
notify on-failure | starting | exit 0 | sweeping none clean +10s sweep:1
notify never | starting | exit 1 | sweeping none crash +10s sweep:1
notify | starting | empty | starting +0s
notify | starting | timer | stopping crash +10s TERM:1
notify | starting in-flight | timer | stopping in-flight crash +10s
notify | starting adopted | timer | up
oneshot | starting adopted | timer | stopping crash +10s TERM:1

| up | stop | stopping ordered +10s TERM:1
notify | up in-flight | stop | stopping in-flight ordered +10s
oneshot | up none | stop | sweeping none ordered +10s sweep:1
oneshot undo | up none | stop | stopping in-flight ordered +10s spawn undo:2
notify | up in-flight | spawned | up
| up | ready | up
| up | exit 0 | sweeping none crash +10s sweep:1
| up | exit SEGV | sweeping none crash +10s sweep:1
| up | exit unknown | sweeping none lost +10s sweep:1
on-failure | up | exit 0 | sweeping none clean +10s sweep:1
on-failure | up | exit 1 | sweeping none crash +10s sweep:1
never | up | exit 0 | sweeping none clean +10s sweep:1
| up | empty | up

| stopping in-flight | spawned | stopping ordered +10s TERM:1
| stopping in-flight killed | spawned | stopping ordered +10s TERM:1
oneshot undo | stopping undo in-flight | spawned | stopping ordered +0s
| stopping in-flight | spawn error | sweeping none ordered +10s sweep:1
| stopping in-flight crash | spawn error no-exec | sweeping none crash +10s sweep:1
oneshot undo | stopping undo in-flight | spawn error | sweeping none refused +10s sweep:1
| stopping | ready | stopping ordered +0s
| stopping | exit 0 | sweeping none ordered +10s sweep:1
| stopping | exit 1 | sweeping none ordered +10s sweep:1
| stopping crash killed | exit SEGV | sweeping none crash +10s sweep:1
oneshot undo | stopping undo | exit 0 | sweeping none ordered +10s sweep:1
oneshot undo | stopping undo | exit 1 | sweeping none refused +10s sweep:1
| stopping | empty | stopping ordered +0s
| stopping | timer | stopping ordered killed +5s KILL:1
| stopping killed | timer | stuck ordered killed +5s KILL:1

| sweeping ordered | ready | sweeping none ordered
| sweeping ordered | empty | rest fresh
| sweeping lost | empty | rest fresh
| sweeping clean | empty | rest done
| sweeping no-exec | empty | rest failed
| sweeping refused | empty | rest failed
| sweeping crash | empty | rest backoff
give-up | sweeping crash | empty | rest failed
never | sweeping crash | empty | rest failed
post | sweeping crash | empty | post in-flight crash +10s spawn post:2
| sweeping crash | timer | sweeping none crash killed +5s KILL:1
| sweeping crash killed | timer | stuck none crash killed +5s KILL:1

post | post in-flight clean | spawned | post clean +0s
post | post in-flight crash | spawn error | rest backoff
post | post ordered | ready | post ordered +0s
post | post ordered | exit 0 | rest fresh
post | post clean | exit 1 | rest done
post | post ordered | empty | post ordered +0s
post | post ordered | timer | post ordered killed +5s KILL:1
post | post ordered killed | timer | stuck ordered killed +5s KILL:1

| stuck in-flight | spawned | stuck ordered +0s KILL:1
| stuck in-flight | spawn error | sweeping none ordered +10s sweep:1
| stuck | ready | stuck ordered +0s
| stuck crash | exit SEGV | sweeping none crash +10s sweep:1
oneshot undo | stuck undo | exit SEGV | sweeping none refused +10s sweep:1
post | stuck post clean | exit SEGV | rest done
post | stuck post in-flight crash | spawn error | rest backoff
| stuck | empty | stuck ordered +0s
| stuck none crash | empty | rest backoff
post | stuck none crash | empty | post in-flight crash +10s spawn post:2
| stuck | timer | stuck ordered +20s KILL:1

pre | pre | exit unknown | sweeping none lost +10s sweep:1
oneshot | starting | exit unknown | up none
`

// TestCells tells every cell of the table, and visits each that is legal.
func TestCells(t *testing.T) {
	var seen [States][Events]bool
	OnVisit(func(s State, k EventKind) { seen[s][k] = true })
	defer OnVisit(nil)
	for line := range strings.Lines(cells) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "|")
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		d, m := parts(f[0], f[1])
		if m.Deadline == 0 && m.State != Rest && m.State != Up && m.State != Sweeping {
			t.Fatalf("%s: a state that needs a deadline has none", line)
		}
		if d.Exec.Type == Oneshot {
			d.Policy.StartTimeout = time.Minute
		}
		run := m.Run
		acts := m.Step(now, d, parseEvent(f[2]))
		if got := m.tell(acts); got != f[3] {
			t.Errorf("%s: now %s", strings.TrimSpace(line), got)
		}
		check(t, line, d, m, acts)
		if began := m.Run - run; began != 0 && f[2] != "start" || began != 1 && f[2] == "start" {
			t.Errorf("%s: %d runs began", line, began)
		}
	}
	for s := range States {
		for k := range Events {
			if Possible(s, k) && !seen[s][k] {
				t.Errorf("%v × %v is legal and not told", s, k)
			}
		}
	}
}

// check holds after every step, whatever it was.
func check(t *testing.T, line string, _ *Definition, m *Machine, acts []Effect) {
	t.Helper()
	switch {
	case m.Process == Known && m.Pid == 0:
		t.Errorf("%s: a process that is known has no pid", line)
	case m.Process != Known && m.Pid != 0:
		t.Errorf("%s: no process and pid %d", line, m.Pid)
	case m.State == Rest && (m.Process != NoProcess || m.Deadline != 0):
		t.Errorf("%s: at rest with process %v and deadline %v", line, m.Process, m.Deadline)
	case m.State == Sweeping && m.Process != NoProcess:
		t.Errorf("%s: sweeping while the main process is %v", line, m.Process)
	}
	for _, a := range acts {
		if a.Attempt != m.Attempt {
			t.Errorf("%s: it acts on attempt %d, the present one is %d", line, a.Attempt, m.Attempt)
		}
		if a.Act == ActSpawn && m.Process != InFlight {
			t.Errorf("%s: a spawn, and the process is %v", line, m.Process)
		}
	}
}

// TestIllegalCells: what cannot happen panics, and names the cell.
func TestIllegalCells(t *testing.T) {
	for s := range States {
		for k := range Events {
			if Possible(s, k) {
				continue
			}
			func() {
				defer func() {
					if p := fmt.Sprint(recover()); p != fmt.Sprintf("service: x: %v cannot happen in %v", k, s) {
						t.Errorf("%v × %v: %s", s, k, p)
					}
				}()
				d, m := parts("", s.String())
				m.Step(now, d, Event{Kind: k})
			}()
		}
	}
}
