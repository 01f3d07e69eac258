// Package dialect
//
// Is: service trees in the form of older systems, read as definitions.
//
// Owns: which files make a service in each dialect, the values in which
// dialects differ, and how the contents of a tree tell whose it is. Every
// service that a tree means is known, also one that cannot run: then its
// definition is Broken and says which file, why, and what to do.
//
// Never: changes how anything runs: once there is a Definition, nobody asks for
// its dialect. Reads what is native, or a file that it could not tell the name of.
package dialect
