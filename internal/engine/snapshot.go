package engine

import (
	"encoding/json"
	"fmt"

	"hotsvc/internal/config"
	"hotsvc/internal/service"
)

// Snapshot is all that the core knows, between two Steps, as JSON.
func (c *Core) Snapshot() []byte {
	for _, u := range c.Units {
		u.Unclaimed = u.unclaimed
		if u.def == nil {
			u.Last = &u.eff.Policy
		}
	}
	b, err := json.Marshal(&c.State)
	for _, u := range c.Units {
		u.Unclaimed, u.Last = false, nil
	}
	if err != nil {
		panic("engine: the state cannot be written: " + err.Error()) // plain values only: our own mistake
	}
	return b
}

// Resume makes a core that goes on from a snapshot: given what the other core is
// given from then on, it decides the same. conf is what was in force then.
func Resume(opt Options, conf *config.Config, snapshot []byte, now Now) (*Core, error) {
	c := &Core{opt: opt, now: now}
	if err := json.Unmarshal(snapshot, &c.State); err != nil {
		return nil, fmt.Errorf("the state cannot be read: %w", err)
	}
	c.use(conf)
	for _, name := range c.names() {
		u := c.Units[name]
		last := u.Last
		u.unclaimed, u.Unclaimed, u.Last = u.Unclaimed, false, nil
		u.eff = &service.Definition{Name: name}
		u.def, u.instance = conf.Lookup(name)
		u.eff.Exec = u.Run.Exec
		switch {
		case u.def != nil:
			u.eff.Policy = u.def.Policy
			if u.Machine.State == service.Rest {
				u.eff.Exec = u.def.Exec
			}
		case last != nil:
			u.eff.Policy = *last
		}
	}
	c.link()
	c.want()
	c.judge()
	c.replan, c.relink = false, false
	c.effects = nil
	return c, nil
}
