// Package service
//
// Is: what a service is, and how one run of it goes from start to rest.
//
// Owns: the definition and its text form, instance names, and the state machine
// (table.go shows it whole).
//
// Never: starts a process, decides that it should start, or reads a clock.
package service
