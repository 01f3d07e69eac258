// Package engine
//
// Is: the one loop. core.go and its neighbours are the pure core: inputs in,
// effects out, no I/O, no clock, no goroutine. run.go is the loop around it.
//
// Owns: the objects, the holds and the machines; everything that is decided is
// decided here.
//
// Never: blocks on a service, a source or a client; touches the system.
package engine
