// Package compat
//
// Is: what the programs of older systems have in common, which hsctl answers
// to: how one was called.
//
// Owns: nothing.
//
// Never: decides anything about a service. The rooms below it translate words
// into calls to the daemon, and its answers into the words of their system.
package compat
