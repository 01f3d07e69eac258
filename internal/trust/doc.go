// Package trust
//
// Is: whether anybody but root and ourselves could have written a file.
//
// Owns: that rule: owner, mode, and the same of every directory on the way.
//
// Never: opens a file, or changes one.
package trust
