// Package match
//
// Is: the patterns of the rule language, and conditions over an object's words.
//
// Owns: what `"glob"`, `"!glob"`, `"~regex"`, true, a number, a list, all, any
// and not mean, and the three answers yes, no and unknown.
//
// A pattern is a glob, "!glob", "~regex" or "!~regex" in which * matches slashes
// too, true, false, or a number, which compares by value. Of a list any positive
// pattern must match, and no negative one. {word} in a glob is a word of another
// object, the subject; {{ is a brace.
//
// Never: knows what a rule, a service or a source is.
package match
