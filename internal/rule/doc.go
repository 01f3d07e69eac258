// Package rule
//
// Is: a rule: while an object matches, require services.
//
// Owns: the rule's text form (parse, check, print), the vocabulary of words of
// each kind of object, the index that finds the rules an object may match, and
// the answer of one rule for one object.
//
// Never: knows sockets, processes, holds or time.
package rule
