// Package toml
//
// Is: TOML text as a tree in which every key and value knows where it stands.
//
// Owns: positions, problems and the decoder that finds all of them at once.
//
// Never: knows a rule or a service; opens a file.
package toml
