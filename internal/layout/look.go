package layout

import (
	"hotsvc/internal/service"
	"hotsvc/internal/supervise"
	"hotsvc/internal/toml"
	"hotsvc/internal/trust"
)

// look says what a start of a service would miss now: a warning, for programs,
// users and files may come before the start does. An env_file that others may
// write to is an error, like a service's file that they may write to.
func look(def *service.Definition) []toml.Problem {
	var p toml.Problems
	for _, ref := range def.Outside {
		if ref.Key == "env_file" {
			if why := trust.New().File(ref.Name); why != nil {
				p.Errorf(ref.Pos, "env_file: %s", why)
				continue
			}
		}
		if missing := supervise.Look(def, ref); missing != nil {
			p.Warnf(ref.Pos, "%s", missing)
		}
	}
	return p.Sorted()
}
