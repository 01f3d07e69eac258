package supervise

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hotsvc/internal/service"
)

// note is what is written of an attempt while something of it may run.
type note struct {
	command   service.Command
	pid       int // of the main process; 0: its daemon died before it noted that
	started   uint64
	unlimited bool
}

// unlimited is in the note of an attempt with resource limits instead of the pid
// until it has them. What the next daemon finds so was only just born: it ends
// that, and another is started.
const unlimited = "!"

// readNote takes what is damaged for the note of a daemon that died early: the
// oldest process is the main one then.
func readNote(path string) (n note, err error) {
	text, err := os.ReadFile(path)
	if lacking(err) {
		return n, err
	}
	f := strings.Fields(string(text))
	if err != nil || len(f) == 0 || !bytes.HasSuffix(text, []byte("\n")) || n.command.UnmarshalText([]byte(f[0])) != nil {
		return note{}, nil
	}
	n.unlimited = len(f) == 2 && f[1] == unlimited
	if len(f) == 3 {
		n.pid, _ = strconv.Atoi(f[1])
		n.started, _ = strconv.ParseUint(f[2], 10, 64)
	}
	return n, nil
}

func notePath(runDir string, t Tree) string {
	return filepath.Join(runDir, "run", service.FileName(t.Service), strconv.FormatInt(t.Attempt, 10))
}

// notes lists the attempts of which there is a note.
func notes(runDir string) (all []Tree, err error) {
	dirs, err := os.ReadDir(filepath.Join(runDir, "run"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(runDir, "run", d.Name()))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a daemon that runs removed it meanwhile
			return nil, err
		}
		for _, f := range files {
			if t, ok := treeOfPath(d.Name()+"/"+f.Name(), true); ok {
				all = append(all, t)
			}
		}
	}
	return all, nil
}
