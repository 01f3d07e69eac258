// Package object
//
// Is: what the system has now. An object is a device, a link, a mount or the
// clock, with words that rules can match.
//
// Owns: the store, which applies batches from the sources (full lists and
// deltas) and says what changed.
//
// Never: reads the system. It has no I/O, no clock and no goroutine.
package object
