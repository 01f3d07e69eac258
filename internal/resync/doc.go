// Package resync
//
// Is: the state machine by which a source reaches the truth after messages
// were lost: drain, list, apply what is newer, and again if more were lost
// meanwhile.
//
// Owns: the order of these steps. Listing before the socket is drained loses
// for good: a full socket drops on silently, until it was empty once.
//
// Never: reads, lists or tells by itself. It has no I/O, no clock and no
// goroutine; both socket sources ask it what to do next.
package resync
