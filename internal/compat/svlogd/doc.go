// Package svlogd
//
// Is: svlogd, the program: what it reads goes into log directories.
//
// Owns: standard input and the signals of the process it runs in.
//
// Never: knows what a log directory looks like, which internal/svlog does.
package svlogd
