package engine

import (
	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/rule"
)

// gates asks each unit's gates again.
func (c *Core) gates() {
	for _, u := range c.order {
		if u.def == nil {
			continue
		}
		for i := range u.def.Policy.Gates {
			c.askGate(u, i)
		}
	}
}

// askGate brings one gate in line with what exists.
func (c *Core) askGate(u *Unit, i int) {
	g, s := &u.def.Policy.Gates[i], &u.Gates[i]
	answer := c.others(&rule.Other{Object: g.Object, Match: g.Match}, nil, instanceReader(u.instance))
	if g.Absent {
		answer = match.Yes - answer
	}
	was := *s
	switch answer {
	case match.Unknown:
		s.Known = false
	case match.Yes:
		s.Known, s.Open, s.Was, s.LeftAt = true, true, true, 0
	case match.No:
		if s.Open && s.LeftAt == 0 {
			s.LeftAt = c.now.Mono
		}
		s.Known, s.Open = true, s.Open && c.now.Mono < s.LeftAt+g.Linger
		if !s.Open {
			s.LeftAt = 0
		}
	}
	u.dirty = u.dirty || was != *s
}

// gate is what one gate lets through.
func (u *Unit) gate(i int) hold.Level {
	s := &u.Gates[i]
	switch {
	case u.def.Policy.Gates[i].Once && s.Was:
		return hold.Up
	case !s.Known, s.LeftAt > 0:
		return hold.Keep
	case s.Open:
		return hold.Up
	}
	return hold.Down
}

func (u *Unit) gateLevel() hold.Level {
	level := hold.Up
	for i := range u.Gates {
		level = min(level, u.gate(i))
	}
	return level
}

// instanceReader lets a gate say {instance}.
type instanceReader string

func (r instanceReader) Values(word string) ([]string, bool) {
	if word == "instance" {
		return []string{string(r)}, true
	}
	return nil, true
}
