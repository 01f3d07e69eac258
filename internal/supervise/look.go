package supervise

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"hotsvc/internal/service"
)

// Look returns what a start would say now of something that a definition names
// on the system, or nil. It is the start's own look, so the two agree.
func Look(def *service.Definition, ref service.Ref) error {
	switch ref.Key {
	case "env_file":
		if info, err := os.Stat(ref.Name); err == nil && !info.Mode().IsRegular() {
			return nil // a start may wait for a FIFO; a look does not
		}
		_, err := environment(Program{Spawn: &service.Spawn{EnvFile: []string{ref.Name}}})
		return err
	case "user":
		_, err := credentialOf(&service.Spawn{User: ref.Name})
		return err
	case "group", "groups":
		_, err := groupID(ref.Key, ref.Name)
		return err
	}
	path := cmp.Or(os.Getenv("PATH"), defaultPath)
	shown := "PATH=" + path
	for _, v := range def.Exec.Env {
		if v.Name == "PATH" {
			path, shown = v.Value, "PATH of env" // no message shows a value of env
		}
	}
	_, err := lookup(Program{Spawn: &service.Spawn{Argv: []string{ref.Name}}, Key: ref.Key}, []string{"PATH=" + path}, "/")
	if err != nil && !strings.Contains(ref.Name, "/") {
		return fmt.Errorf("%w (%s)", err, shown)
	}
	return err
}
