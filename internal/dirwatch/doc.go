// Package dirwatch
//
// Is: the source that tells when something in a service tree changed.
//
// Owns: one inotify(7) descriptor, the watches on the trees, on their service
// directories with log/ and control/, and on the way to each: every directory
// and link of its path, so that a tree which comes later, or is replaced by
// another, is seen too. Changes are told together, when they have settled.
//
// Never: says what changed, or reads a service: whoever is told reads the trees
// anew, and so a lost event costs nothing. Polls.
package dirwatch
