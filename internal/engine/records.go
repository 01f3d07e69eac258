package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/hold"
	"hotsvc/internal/service"
)

// A record is what one service needs to be taken over by the next daemon: its
// machine, its holds and caps, and what its run is made of. It is written
// before a spawn and before a reply, so whatever the world can see has been
// written. What is not in it (objects, matches, want, plan) is derived again.

// record is a unit as it is written to disk.
func (u *Unit) record() []byte {
	b, err := json.Marshal(record{Version: recordVersion, Unit: u})
	if err != nil {
		panic("engine: a unit cannot be written: " + err.Error()) // plain values only: our own mistake
	}
	return b
}

// recordVersion changes when an older daemon could not read a record.
const recordVersion = 1

type record struct {
	Version int `json:"v"`
	*Unit
}

type globalRecord struct {
	Version   int                  `json:"v"`
	Number    int64                `json:"number"`
	Attempts  int64                `json:"attempts,omitempty"`
	Suspended string               `json:"suspended"`
	Links     map[string]*LinkMemo `json:"links"`
}

func (c *Core) globalRecord() []byte {
	b, err := json.Marshal(globalRecord{recordVersion, c.Number, c.Attempts, c.Suspended, c.Links})
	if err != nil {
		panic("engine: the global record cannot be written: " + err.Error())
	}
	return b
}

// Live is what of a service is still there when a daemon starts: a process, or
// the note of one whose end may be in no record.
type Live struct {
	Attempt int64
	Command service.Command
	Pid     int    // of the attempt's first process; 0: it has ended
	Started uint64 // its start time, clock ticks since boot
	Left    bool   // other processes live, of this attempt or an earlier one
}

// Restore takes over what an earlier daemon left: records by service, the
// global record, and what still lives. A damaged record costs what was in it;
// it is named in the log. Call it once, before the first Step, whose effects
// then include what the takeover asks for.
func (c *Core) Restore(records map[string][]byte, global []byte, live map[string]Live) {
	var g globalRecord
	if len(global) > 0 {
		if err := json.Unmarshal(global, &g); err != nil {
			c.log("the global record is damaged and was ignored: %v", err)
		}
	}
	c.Number, c.Suspended = max(c.Number, g.Number), g.Suspended
	if g.Links != nil {
		c.Links = g.Links
	}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		u := c.unit(name)
		r := record{Unit: &Unit{def: u.def, eff: u.eff, instance: u.instance}}
		err := json.Unmarshal(records[name], &r)
		switch {
		case err == nil && r.Version != recordVersion:
			err = fmt.Errorf("version %d is not known", r.Version)
		case err == nil && r.Unit.Name != name:
			err = fmt.Errorf("it is of %q", r.Unit.Name)
		}
		if err != nil {
			c.log("the record of %s is damaged and was ignored: %v", name, err)
			continue
		}
		*u = *r.Unit
		for i := range u.Holds {
			c.Number = max(c.Number, u.Holds[i].Number)
		}
		c.Number = max(c.Number, u.Pardon, u.Latch) // no number that still counts is newer than these
	}
	c.Attempts = g.Attempts
	for _, name := range slices.Sorted(maps.Keys(live)) {
		if _, ok := records[name]; ok {
			continue
		}
		if u := c.unit(name); live[name].Pid == 0 { // forgotten, and its end long known: only what it left is news
			u.Machine.Attempt = c.Attempts
		}
	}
	c.relink, c.replan = true, true
	c.link()
	for _, u := range slices.Clone(c.order) {
		c.restoreHolds(u)
		l, isLive := live[u.Name]
		c.adopt(u, l, isLive)
		if m := &u.Machine; m.State == service.Rest {
			m.Attempt = max(m.Attempt, c.Attempts) // its record may have been damaged
		}
	}
}

// Unready is the start of a service that was taken over before its check said
// that it is ready: the check is to go on. Of any other it is nil.
func (c *Core) Unready(name string) *service.Spawn {
	u := c.Units[name]
	if u == nil || u.Machine.State != service.Starting || u.Machine.Process != service.Known || u.Run.Exec.Ready != service.ReadyCheck {
		return nil
	}
	spawn, _ := u.spawn(service.CommandMain, &c.opt) // without: it counts as ready when its time is up
	return spawn
}

// CheckRecords tells whether Restore would understand all of it.
func CheckRecords(records map[string][]byte, global []byte) error {
	var g globalRecord
	if len(global) > 0 {
		if err := json.Unmarshal(global, &g); err != nil {
			return fmt.Errorf("the global record cannot be read: %w", err)
		}
		if g.Version != recordVersion {
			return fmt.Errorf("the global record is of version %d, and this program reads %d", g.Version, recordVersion)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		r := record{Unit: &Unit{}}
		if err := json.Unmarshal(records[name], &r); err != nil {
			return fmt.Errorf("the record of %s cannot be read: %w", name, err)
		}
		if r.Version != recordVersion {
			return fmt.Errorf("the record of %s is of version %d, and this program reads %d", name, r.Version, recordVersion)
		}
	}
	return nil
}

// restoreHolds makes of remembered holds what they are worth until their
// sources have told.
func (c *Core) restoreHolds(u *Unit) {
	seen := map[string]bool{}
	u.Holds = slices.DeleteFunc(u.Holds, func(h hold.Hold) bool {
		key := h.Holder + " " + h.Life.Key.String()
		if seen[key] {
			return true // a damaged record: a holder holds once
		}
		seen[key] = true
		if h.Count > 0 && h.Count <= h.Asked {
			return true // whoever required it was told that this failed
		}
		// settle and damping start anew: what exists will be told, and is kept until then
		return h.Phase == hold.Settling || h.Phase == hold.Suppressed
	})
	for i := range u.Holds {
		h := &u.Holds[i]
		h.Count, h.Asked = h.Count-h.Asked, 0
		if h.Phase != hold.Lingering {
			h.Deadline = 0
		}
		if _, ok := h.Rule(); ok && h.Phase == hold.Held {
			h.Phase = hold.Provisional
		}
		if pid, ok := strings.CutPrefix(h.Holder, "pid:"); ok {
			n, _ := strconv.Atoi(pid)
			c.emit(Effect{Kind: EffectWatch, Client: &Client{Pid: n, Started: h.Client}})
		}
	}
	c.define(u)
}

// adopt steps a machine from what was written to what is.
func (c *Core) adopt(u *Unit, l Live, isLive bool) {
	m := &u.Machine
	was := m.State
	alive := isLive && l.Pid > 0
	if isLive {
		if l.Attempt > m.Attempt {
			m.Exec = u.Hash
		}
		m.Noted(l.Attempt, l.Command)
	}
	if alive {
		m.Command, m.Pid, m.Started = l.Command, l.Pid, l.Started
	}
	if u.Run.Exec.Type == "" && u.def != nil {
		u.Run.Exec = u.def.Exec
	}
	if was != service.Rest || alive {
		u.eff.Exec = u.Run.Exec
	}
	if u.def == nil {
		u.eff.Policy = service.New(u.Name).Policy
	}
	if isLive && !alive && !l.Left {
		c.retire(u, l.Attempt, l.Command)
	}
	for _, a := range m.Adopt(c.now.Mono, u.eff, alive, l.Left && !alive) {
		c.carryOut(u, a)
	}
	u.unclaimed = m.State != service.Rest && len(u.Holds) == 0
	if m.Outcome == service.Lost && m.State != was {
		u.Exit = &exitRecord{Exit: service.Exit{Unknown: true}, What: m.Command.String(), At: c.now.Wall, Text: "it ended while no daemon looked"}
	}
	if m.State == service.Rest && was != service.Rest {
		u.Latch = 0 // what kept it down was not seen to its end: ask again
	}
	if m.State != was || alive {
		u.Because = fmt.Sprintf("taken over: it was %v when the last daemon ended", was)
	}
	c.onceOver(u)
	u.dirty, c.replan = true, true
}
