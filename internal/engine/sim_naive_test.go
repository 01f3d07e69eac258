package engine

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/hold"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
)

// naive computes want a second time, in the plainest way: it keeps what the
// daemon was told, asks every rule about every link after every input, and
// finds want by recursion over the services. It shares no code with the core
// but the names of things.
type naive struct {
	shape     *shape
	conf      *config.Config
	now       time.Duration
	state     map[string]object.SourceState
	listed    map[string]bool
	links     map[string]*object.Object // by ifindex
	mount     bool
	holds     map[naiveKey]*naiveHold
	persons   map[string]map[string]int  // service → holder → count
	inner     map[string]map[string]bool // service → holding service
	caps      map[string]string
	until     map[string]map[string]bool // service → ifindexes that a stop waits for
	gates     map[string]*naiveGate
	suspended bool
	pending   map[int64]*Call // requires that are not answered yet
	last      map[string]hold.Level
}

type naiveKey struct{ rule, link, service string }

type naiveHold struct {
	provisional bool
	settles     time.Duration // 0: settled
	flaps       uint32        // of the link, while it settles
	ends        time.Duration // 0: the condition holds
}

type naiveGate struct {
	open, known, was bool
	left             time.Duration
}

func decodeRecord(b []byte) *Unit {
	u := &Unit{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &record{Unit: u}); err != nil {
			panic(err)
		}
	}
	return u
}

func (u *Unit) holder(name string) (hold.Hold, bool) {
	i := slices.IndexFunc(u.Holds, func(h hold.Hold) bool { return h.Holder == name })
	if i < 0 {
		return hold.Hold{}, false
	}
	return u.Holds[i], true
}

func newNaive(sh *shape, conf *config.Config, disk map[string][]byte, global []byte) *naive {
	n := &naive{shape: sh, conf: conf, state: map[string]object.SourceState{}, listed: map[string]bool{}, links: map[string]*object.Object{},
		holds: map[naiveKey]*naiveHold{}, persons: map[string]map[string]int{}, inner: map[string]map[string]bool{},
		caps: map[string]string{}, until: map[string]map[string]bool{}, gates: map[string]*naiveGate{},
		pending: map[int64]*Call{}, last: map[string]hold.Level{}}
	n.state["link"], n.state["mount"] = object.Starting, object.Starting
	var g globalRecord
	if len(global) > 0 {
		if err := json.Unmarshal(global, &g); err != nil {
			panic(err)
		}
	}
	n.suspended = g.Suspended != ""
	type taken struct {
		of, by string
		number int64
	}
	var inner []taken
	for s, b := range disk {
		u := decodeRecord(b)
		for _, h := range u.Holds {
			if rule, ok := h.Rule(); ok {
				if h.Phase == hold.Held || h.Phase == hold.Provisional {
					n.holds[naiveKey{rule, h.Life.Key.ID, s}] = &naiveHold{provisional: true}
				} else if h.Phase == hold.Lingering {
					n.holds[naiveKey{rule, h.Life.Key.ID, s}] = &naiveHold{ends: h.Deadline}
				}
			} else if by, ok := h.Service(); ok {
				inner = append(inner, taken{s, by, h.Number})
			} else if answered := h.Count - h.Asked; answered > 0 {
				n.person(s)[h.Holder] = answered
			}
		}
		n.caps[s] = u.Cap.Kind
		for _, l := range u.Cap.Gone {
			n.hold(n.until, s, l.Key.ID)
		}
		if len(u.Gates) > 0 {
			g := u.Gates[0]
			n.gates[s] = &naiveGate{g.Open, g.Known, g.Was, g.LeftAt}
		}
		n.mention(s)
	}
	slices.SortFunc(inner, func(a, b taken) int { return cmp.Compare(b.number, a.number) })
	for _, t := range inner { // an older one that closes a circle had ended when a newer one was taken
		if !n.waitsFor(t.of, t.by, map[string]bool{}) {
			n.hold(n.inner, t.of, t.by)
		}
	}
	return n
}

func (n *naive) person(s string) map[string]int {
	if n.persons[s] == nil {
		n.persons[s] = map[string]int{}
	}
	return n.persons[s]
}

func (n *naive) hold(in map[string]map[string]bool, s, by string) {
	if in[s] == nil {
		in[s] = map[string]bool{}
	}
	in[s][by] = true
}

// take follows one input.
func (n *naive) take(now time.Duration, in *Input) {
	n.now = now
	switch {
	case in.Report != nil:
		n.report(in.Report)
	case in.Call != nil:
		n.call(in.Call)
	case in.Hangup != 0:
		if c := n.pending[in.Hangup]; c != nil && c.Peer.Service != "" {
			delete(n.pending, in.Hangup) // only the wait ends
		}
		n.undo(in.Hangup)
	case in.Gone != nil:
		for s := range n.persons {
			delete(n.persons[s], "pid:"+itoa(in.Gone.Pid))
		}
	case in.Config != nil:
		n.conf = in.Config
	}
}

func (n *naive) report(r *object.Report) {
	n.state[r.Status.Name] = r.Status.State
	if r.Batch != nil && r.Batch.Full {
		n.listed[r.Status.Name] = true
	}
	if b := r.Batch; b != nil {
		if b.Full && r.Status.Name == "link" {
			for id := range n.links {
				if !slices.ContainsFunc(b.Put, func(o object.Object) bool { return o.Life.Key.ID == id }) {
					b.Gone = append(slices.Clone(b.Gone), object.Key{Kind: object.Link, ID: id})
				}
			}
		}
		if r.Status.Name == "mount" {
			n.mount = len(b.Put) > 0 || n.mount && !b.Full && len(b.Gone) == 0
		} else {
			for i := range b.Put {
				n.links[b.Put[i].Life.Key.ID] = &b.Put[i]
			}
			for _, k := range b.Gone {
				n.unplugged(k.ID)
			}
		}
		if b.Full && r.Status.Name == "link" {
			for k := range n.holds {
				if n.links[k.link] == nil {
					n.unplugged(k.link)
				}
			}
			for _, ids := range n.until {
				for id := range ids {
					if n.links[id] == nil {
						n.unplugged(id)
					}
				}
			}
		}
	}
	n.ask()
}

func (n *naive) unplugged(id string) {
	delete(n.links, id)
	for k, h := range n.holds {
		if k.link != id {
			continue
		}
		linger := n.shape.rules[k.rule].gone
		switch {
		case linger == 0 || h.settles > 0:
			delete(n.holds, k)
		case h.ends == 0 || h.ends > n.now+linger:
			h.ends, h.provisional = n.now+linger, false
		}
	}
	for s := range n.until {
		if n.until[s][id] && n.listed["link"] { // before it, the list is waited for
			delete(n.until[s], id)
			if len(n.until[s]) == 0 && n.caps[s] == hold.CapStop {
				n.caps[s] = ""
			}
		}
	}
}

// ask asks every rule about every link.
func (n *naive) ask() {
	for name, r := range n.shape.rules {
		for id, l := range n.links {
			answer := n.answer(r, l)
			if answer == match.Unknown {
				continue
			}
			svc := strings.ReplaceAll(r.require, "{name}", l.Words.Get("name"))
			had := false
			for k, h := range n.holds {
				if k.rule != name || k.link != id {
					continue
				}
				had = had || h.settles == 0
				switch {
				case answer == match.Yes && k.service != svc:
					delete(n.holds, k)
				case answer == match.Yes && h.settles > 0 && h.flaps != l.Life.Flaps:
					h.settles, h.flaps = n.now+r.settle, l.Life.Flaps
				case answer == match.Yes:
					h.ends, h.provisional = 0, false
				case h.ends > 0:
				case r.linger == 0 || h.settles > 0:
					delete(n.holds, k)
				default:
					h.ends, h.provisional = n.now+r.linger, false
				}
			}
			if k := (naiveKey{name, id, svc}); answer == match.Yes && n.holds[k] == nil {
				n.holds[k] = &naiveHold{flaps: l.Life.Flaps}
				if r.settle > 0 && !had {
					n.holds[k].settles = n.now + r.settle
				}
			}
		}
	}
}

func (n *naive) answer(r simRule, l *object.Object) match.Answer {
	name := l.Words.Get("name")
	if name != r.link && !(r.link == "e*" && name[0] == 'e') || l.Words.Get("running") != "true" {
		return match.No
	}
	known := n.state["mount"] == object.Synced
	switch {
	case r.unless && n.mount, r.while && !n.mount && known:
		return match.No
	case (r.unless || r.while && !n.mount) && !known:
		return match.Unknown
	}
	return match.Yes
}
