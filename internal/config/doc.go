// Package config
//
// Is: the whole configuration as one checked value.
//
// Owns: reading directories (through fs.FS) in layers, and the checks that need
// more than one file. It returns the value, or all problems with their places.
//
// Never: touches what runs, or half-applies.
package config
