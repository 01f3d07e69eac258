// Command hsctl
//
// Is: the command line of hotsvc. A verb is a call on the daemon's control
// socket; its answer is printed as text for people or, with --json, as the
// daemon's own JSON.
//
// Owns: the words of its help, its hints and its errors, and what output looks
// like.
//
// Never: decides or computes anything about services. What it says of them the
// daemon has told it; only logs it reads itself.
package main
