package main

import (
	"io"
	"maps"
	"path/filepath"

	"hotsvc/internal/compat"
	"hotsvc/internal/compat/backhand"
	"hotsvc/internal/compat/svlogd"
	"hotsvc/internal/compat/sysmgr"
)

// programs are the older systems' names that hsctl answers to, by a symlink.
var programs = merge(
	backhand.Programs,
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

// calledAs returns the older program that hsctl was called as, or nil.
func calledAs(argv0 string) compat.Program { return programs[filepath.Base(argv0)] }

func callOf(argv []string, in io.Reader, out, err io.Writer) *compat.Call {
	return &compat.Call{Name: filepath.Base(argv[0]), Path: argv[0], Args: argv[1:], In: in, Out: out, Err: err}
}
