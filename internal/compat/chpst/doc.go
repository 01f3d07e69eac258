// Package chpst
//
// Is: the programs that change their own process and then become another one:
// chpst and, under the names that daemontools gave them, its parts.
//
// Owns: what of a process is changed, in which order, and how that is written
// on a command line.
//
// Never: starts a process beside its own, changes what it was not asked to
// change, or asks the daemon.
//
// A Go program cannot start in 20 MB of address space, which is what such
// programs are used for. So limits are set last, and where what is to be run is
// hsctl again, under one of these names, it is done here instead; under any
// other of its names, it is run without the two limits that would end it.
package chpst
