package resync

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// kernel is a naive model of the kernel's side of a multicast netlink socket,
// after net/netlink/af_netlink.c: an overflow raises one error, which comes
// before the messages that were kept, and the socket then drops silently until
// it was empty once.
type kernel struct {
	truth     map[int]int // object to its incarnation and state
	queue     []message
	room      int
	err       bool
	congested bool
	drop      map[int]bool // indexes of messages that are lost whatever the room
	sent      int
	stamp     int
}

type message struct{ id, value int } // value 0: gone

func (k *kernel) change(id, value int) {
	if value == 0 {
		if _, there := k.truth[id]; !there {
			return
		}
		delete(k.truth, id)
	} else {
		k.truth[id] = value
	}
	k.sent++
	if k.congested || len(k.queue) >= k.room || k.drop[k.sent] {
		if !k.congested {
			k.err, k.congested = true, true
		}
		return
	}
	k.queue = append(k.queue, message{id, value})
}

func (k *kernel) random(r *rand.Rand, ids int) {
	k.stamp++
	if r.IntN(3) == 0 {
		k.change(r.IntN(ids), 0)
	} else {
		k.change(r.IntN(ids), k.stamp)
	}
}

func (k *kernel) recv() (Event, message) {
	if k.err {
		k.err = false
		if len(k.queue) == 0 {
			k.congested = false
		}
		return Lost, message{}
	}
	if len(k.queue) == 0 {
		k.congested = false
		return Empty, message{}
	}
	m := k.queue[0]
	k.queue = k.queue[1:]
	if len(k.queue) == 0 {
		k.congested = false
	}
	return Message, m
}

// next is the machine, or a mutant of it.
type next func(Event) Do

// source follows the kernel as a real one does; told is what the engine knows.
type source struct {
	k           *kernel
	next        next
	table, told map[int]int
	meanwhile   func() // what the kernel does between two steps of a list
	fail        func() bool
}

// wakeup reads until there is nothing to do but wait.
func (s *source) wakeup(asked bool) {
	if asked {
		s.do(s.next(Asked), message{})
	}
	for steps := 0; ; steps++ {
		e, m := s.k.recv()
		do := s.next(e)
		s.do(do, m)
		if do == Tell || do == TellAll {
			return
		}
		if steps > 10_000 {
			return // a mutant that never ends
		}
	}
}

func (s *source) do(do Do, m message) {
	switch do {
	case Apply:
		if m.value == 0 {
			delete(s.table, m.id)
		} else {
			s.table[m.id] = m.value
		}
	case List:
		if s.fail != nil && s.fail() {
			s.table = map[int]int{-1: 1} // a broken list must never be told
			s.do(s.next(Unlisted), message{})
			return
		}
		s.table = map[int]int{}
		for id := range 12 { // not atomic: the kernel goes on while we look
			s.meanwhile()
			if v, there := s.k.truth[id]; there {
				s.table[id] = v
			}
		}
	case Tell, TellAll:
		s.told = maps.Clone(s.table)
	}
}

// walk plays one random history and tells whether the truth was reached once
// the kernel was quiet.
func walk(seed uint64, mutant func(*Machine) next) bool {
	r := rand.New(rand.NewPCG(seed, 7))
	k := &kernel{truth: map[int]int{}, room: 1 + r.IntN(12), drop: map[int]bool{}}
	for range r.IntN(4) {
		k.drop[1+r.IntN(40)] = true
	}
	for range r.IntN(20) {
		k.random(r, 12)
	}
	k.queue, k.err, k.congested = nil, false, false // subscribe

	m := &Machine{}
	s := &source{k: k, next: mutant(m), told: map[int]int{}}
	busy, failing := 1+r.IntN(4), r.IntN(4) == 0
	s.meanwhile = func() {
		if r.IntN(busy+2) == 0 {
			for range r.IntN(busy + 1) {
				k.random(r, 12)
			}
		}
	}
	s.fail = func() bool { return failing && r.IntN(3) == 0 }
	for range 1 + r.IntN(8) {
		for range r.IntN(25) {
			k.random(r, 12)
		}
		s.wakeup(r.IntN(5) == 0)
	}
	s.meanwhile, s.fail = func() {}, nil // the storm is over
	s.wakeup(false)
	return maps.Equal(s.told, k.truth)
}

func TestTheTruthIsAlwaysReached(t *testing.T) {
	for seed := range uint64(30_000) {
		if !walk(seed, func(m *Machine) next { return m.Next }) {
			t.Fatalf("seed %d: the source believes what is not so", seed)
		}
	}
}

// Each message of a short history is lost in turn: a lost remove, a lost add,
// a loss while the list is made.
func TestLossAtEachIndex(t *testing.T) {
	for lost := 1; lost <= 30; lost++ {
		k := &kernel{truth: map[int]int{}, room: 100, drop: map[int]bool{lost: true}}
		m := &Machine{}
		s := &source{k: k, next: m.Next}
		n := 0
		step := func() { n++; k.change(n%5, (n%3)*n) }
		s.meanwhile = func() {
			if n < 24 {
				step()
			}
		}
		s.wakeup(false)
		for range 12 {
			step()
			s.wakeup(false)
		}
		if !maps.Equal(s.told, k.truth) {
			t.Errorf("message %d lost: told %v, truth %v", lost, s.told, k.truth)
		}
		if m.State() != Live {
			t.Errorf("message %d lost: state %d", lost, m.State())
		}
	}
}

// The walk must find the mistakes that others made.
func TestMutantsAreCaught(t *testing.T) {
	mutants := map[string]func(*Machine) next{
		"list at once, without draining": func(m *Machine) next {
			return func(e Event) Do {
				if e == Lost {
					m.state = Catching
					return List
				}
				return m.Next(e)
			}
		},
		"a loss during the list does not count": func(m *Machine) next {
			return func(e Event) Do {
				if e == Lost && m.state == Catching {
					return Nothing
				}
				return m.Next(e)
			}
		},
		"no list after a loss": func(m *Machine) next {
			return func(e Event) Do {
				if e == Lost && m.state == Live {
					return Nothing
				}
				return m.Next(e)
			}
		},
		"what is newer than the list is thrown away": func(m *Machine) next {
			return func(e Event) Do {
				do := m.Next(e)
				if do == Apply && m.state == Catching {
					return Discard
				}
				return do
			}
		},
		"a failed list is told": func(m *Machine) next {
			return func(e Event) Do {
				if e == Unlisted {
					return Nothing
				}
				return m.Next(e)
			}
		},
	}
	for name, mutant := range mutants {
		caught := 0
		for seed := range uint64(3000) {
			if !walk(seed, mutant) {
				caught++
			}
		}
		if caught == 0 {
			t.Errorf("%s: not caught in 3000 walks", name)
		}
	}
}

func TestEveryCellHasAnAnswer(t *testing.T) {
	want := map[State][5]Do{ // Message, Lost, Empty, Unlisted, Asked
		Draining: {Discard, Nothing, List, Nothing, Nothing},
		Catching: {Apply, Nothing, TellAll, Pause, List},
		Live:     {Apply, Nothing, Tell, Nothing, List},
	}
	for state, row := range want {
		for e, do := range row {
			m := &Machine{state: state}
			if got := m.Next(Event(e)); got != do {
				t.Errorf("state %d, event %d: got %d, want %d", state, e, got, do)
			}
		}
	}
}
