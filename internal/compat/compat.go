package compat

import "io"

// Program is one of the names that hsctl answers to. It returns the exit status.
type Program func(*Call) int

// Call is how a program was called.
type Call struct {
	Name string // under which name, without directories
	Path string // argv[0] as it was
	Args []string
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
}
