package engine

import (
	"strings"

	"hotsvc/internal/config"
)

// foresee is what a configuration would start and end from where a core stands.
func foresee(c *Core, conf *config.Config) ([]Foreseen, error) {
	state := c.Snapshot()
	same, err := Resume(c.opt, c.conf, state, c.now)
	if err != nil {
		return nil, err
	}
	other, err := Resume(c.opt, c.conf, state, c.now)
	if err != nil {
		return nil, err
	}
	return Foresee(c.now, same, other, conf), nil
}

// plan prints what files would start and end.
func (s *story) plan(conf *config.Config) {
	all, err := foresee(s.core, conf)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range all {
		if f.Kind == EffectSpawn || f.Kind == EffectTerm {
			what, _, _ := strings.Cut(f.String(), " attempt")
			s.say("  would %s after %v: %s", what, f.At-s.core.now.Mono, f.Reason)
		}
	}
	if len(all) == 0 {
		s.say("  would change nothing")
	}
}
