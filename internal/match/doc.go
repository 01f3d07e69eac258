// Package match
//
// Is: the patterns of the rule language, and conditions over an object's words.
//
// Owns: what `"glob"`, `"!glob"`, `"~regex"`, true, a number, a list, all, any
// and not mean, and the three answers yes, no and unknown.
//
// Never: knows what a rule, a service or a source is.
package match
