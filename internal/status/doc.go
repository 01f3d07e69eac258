// Package status
//
// Is: what the outside sees, as immutable values with their JSON form.
//
// Owns: the names and shapes of the JSON that people's scripts read. Keys are
// always present; what is void is null; enums are closed; times are RFC 3339
// with nanoseconds.
//
// Never: decides or computes anything.
package status
