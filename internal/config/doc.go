// Package config
//
// Is: the whole configuration as one checked value.
//
// Owns: reading directories (through fs.FS) in layers, the choice among shipped
// variants of a service, the checks that need more than one file (names that
// nothing defines, circles, rules that undo themselves), hotsvc.toml, and the
// text form that is kept for the next start. It returns the value, or all
// problems with their places.
//
// Never: touches what runs, or half-applies. A reload with an error changes
// nothing; at start only the files with an error are left out.
package config
