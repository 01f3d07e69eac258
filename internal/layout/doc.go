// Package layout
//
// Is: where things are on this system: run directory, logs, socket, and the
// directories that the configuration comes from.
//
// Owns: the defaults, for root and for an ordinary user, and the one way to
// read a configuration from disk, and to look for what it names there, which
// daemon and hsctl share.
//
// Never: checks what it reads (config does), or writes.
package layout
