// Command hotsvc
//
// Is: the daemon.
//
// Owns: the wiring between the rooms, and the signals.
//
// Never: decides anything.
package main
