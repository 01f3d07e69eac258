package main

import (
	"io"
	"maps"
	"path/filepath"
	"strings"

	"hotsvc/internal/compat"
	"hotsvc/internal/compat/backhand"
	"hotsvc/internal/compat/chpst"
	"hotsvc/internal/compat/runit"
	"hotsvc/internal/compat/svlogd"
	"hotsvc/internal/compat/sysmgr"
)

// programs are the older systems' names that hsctl answers to, by a symlink.
var programs = merge(
	chpst.Programs,
	backhand.Programs,
	runit.Programs,
	svlogd.Programs,
	sysmgr.Programs,
)

func merge(families ...map[string]compat.Program) map[string]compat.Program {
	all := map[string]compat.Program{}
	for _, f := range families {
		maps.Copy(all, f)
	}
	return all
}

// calledAs returns the older program that hsctl was called as, or nil. A name
// that nobody knows is a link in /etc/init.d: the service of that name.
func calledAs(argv0 string) compat.Program {
	name := filepath.Base(argv0)
	if p := programs[name]; p != nil || strings.HasPrefix(name, "hsctl") {
		return p
	}
	return runit.LSB
}

func callOf(argv []string, in io.Reader, out, err io.Writer) *compat.Call {
	return &compat.Call{Name: filepath.Base(argv[0]), Path: argv[0], Args: argv[1:], In: in, Out: out, Err: err}
}
