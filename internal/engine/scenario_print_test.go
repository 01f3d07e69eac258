package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/status"
)

// parseCall reads what somebody types, as hsctl does.
func (s *story) parseCall(f []string) *Call {
	c := Call{ID: int64(len(s.calls) + 1), Verb: Verb(f[0]), Timeout: time.Minute}
	s.asked = append(s.asked, strings.Join(f, " "))
	for i := 1; i < len(f); i++ {
		value := func() string {
			if i++; i == len(f) {
				s.t.Fatalf("%q: %s wants a value", f, f[i-1])
			}
			return f[i]
		}
		number := func() int {
			n, err := strconv.Atoi(value())
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
		switch f[i] {
		case "--uid":
			c.Peer.UID = number()
		case "--as":
			c.As = value()
		case "--for":
			c.For = value()
		case "--kind":
			c.Kind = value()
		case "--signal":
			c.Signal = value()
		case "--match":
			c.Match = value()
		case "--no-wait":
			c.NoWait = true
		case "--not":
			c.Not = true
		case "--timeout":
			d, err := time.ParseDuration(value())
			if err != nil {
				s.t.Fatal(err)
			}
			c.Timeout = d
		case "--pid":
			pid := number()
			c.Peer.Client = Client{Pid: pid, Started: uint64(pid)}
			s.clients[c.Peer.Client] = true
		case "--from":
			c.Peer.Service = value()
			if p := s.procs[c.Peer.Service]; p != nil {
				c.Peer.Attempt = p.attempt
			}
		default:
			c.Services = append(c.Services, f[i])
		}
	}
	s.calls = append(s.calls, c)
	return &c
}

// reply prints an answer.
func (s *story) reply(r *Reply) {
	text := r.Error
	if done, ok := r.Value.([]status.Done); ok {
		var each []string
		for _, d := range done {
			each = append(each, strings.TrimSpace(d.Service+" "+d.State+": "+d.Text))
		}
		text = strings.Join(each, "; ")
	}
	if r.Later {
		text += " (later)"
	}
	s.say("answer %d (%s): %d %s", r.ID, s.asked[r.ID-1], r.Code, text)
	switch v := r.Value.(type) {
	case status.Report:
		s.report(v)
	case status.Why:
		s.say("  %s is %s", v.Service, v.State)
		for _, step := range v.Chain {
			s.say("  %s: %s", step.What, step.Text)
		}
		if v.Unmet != nil {
			s.say("  unmet: %s", *v.Unmet)
		}
		if v.Remedy != nil {
			s.say("  remedy: %s", *v.Remedy)
		}
		if len(v.Dependents) > 0 {
			s.say("  hurt: %s", strings.Join(v.Dependents, " "))
		}
	case status.Change:
		s.say("  %d: %s %s → %s: %s", v.Count, v.Service, v.From, v.To, v.Reason)
	case []status.Rule:
		for _, rule := range v {
			s.say("  %s (%s) %s %s", rule.Name, rule.Where, rule.Object, rule.Match)
			for _, m := range rule.Matches {
				text := "holds " + strings.Join(m.Holds, " ")
				switch {
				case m.Problem != nil && len(m.Holds) == 0:
					text = "holds nothing: " + *m.Problem
				case m.Problem != nil:
					text += " (" + *m.Problem + ")"
				}
				s.say("    %s %s", m.Object, text)
			}
		}
	case []status.Object:
		for _, o := range v {
			s.say("  %s %s holds %s", o.Key, o.Name, strings.Join(o.Holds, " "))
		}
	}
}

// report prints status, what is void left out.
func (s *story) report(r status.Report) {
	if r.Suspended != nil {
		s.say("  suspended by %s", *r.Suspended)
	}
	for _, v := range r.Services {
		text := fmt.Sprintf("%s %s, want %s: %s", v.Name, v.State, v.Want, v.Reason)
		if v.Substate != nil {
			text = fmt.Sprintf("%s %s (%s), want %s: %s", v.Name, v.State, *v.Substate, v.Want, v.Reason)
		}
		s.say("  %s", text)
		if v.Restarts > 0 || v.Failures > 0 {
			s.say("    restarts %d, failures %d", v.Restarts, v.Failures)
		}
		if v.Exit != nil {
			s.say("    exit: %s: %s", v.Exit.What, v.Exit.Text)
		}
		if v.NextStart != nil {
			s.say("    next start at %s", v.NextStart.Format("15:04:05.000"))
		}
		for _, h := range v.Holds {
			s.say("    hold %s", holdText(&h))
		}
		if b := v.Blocked; b != nil {
			s.say("    %s by %s until gone %v", b.Kind, b.By, b.UntilGone)
		}
		for _, g := range v.Gates {
			open := "not known"
			if g.Open != nil {
				open = map[bool]string{true: "open", false: "closed"}[*g.Open]
			}
			s.say("    gate %s: %s", g.Text, open)
		}
		for _, w := range v.WaitingFor {
			s.say("    waits for %s %s", w.Kind, w.What)
		}
	}
}

func holdText(h *status.Hold) string {
	text := h.Holder
	if h.Object != nil {
		text += " through " + *h.Object
	}
	if h.Count > 1 {
		text += fmt.Sprintf(" ×%d", h.Count)
	}
	for what, at := range map[string]*time.Time{"lingers until": h.LingerUntil, "suppressed until": h.Suppressed, "settles until": h.Settling} {
		if at != nil {
			text += fmt.Sprintf(" (%s %s)", what, at.Format("15:04:05.000"))
		}
	}
	if h.Provisional {
		text += " (provisional)"
	}
	return text
}
