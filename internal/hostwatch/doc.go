// Package hostwatch
//
// Is: the two small sources: the mounts of this mount namespace, and whether
// the system clock is synchronized.
//
// Owns: waiting for /proc/self/mountinfo to change and parsing it; asking the
// kernel how good its clock is, and when to ask again.
//
// Never: mounts, unmounts or sets the clock, and never touches a mounted file
// system, which may hang.
package hostwatch
