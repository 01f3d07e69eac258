package layout

import (
	"hotsvc/internal/service"
	"hotsvc/internal/supervise"
	"hotsvc/internal/toml"
)

// look says what a start of a service would miss now: a warning, for programs,
// users and files may come before the start does.
func look(def *service.Definition) []toml.Problem {
	var p toml.Problems
	for _, ref := range def.Outside {
		if missing := supervise.Look(def, ref); missing != nil {
			p.Warnf(ref.Pos, "%s", missing)
		}
	}
	return p.Sorted()
}
