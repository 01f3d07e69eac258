// Package svlog
//
// Is: a log directory in svlogd's form: lines with stamps in `current`, older
// files beside it, and a reader over all of them; and pumps, which carry what
// services say from FIFOs to such directories, so that it is there once however
// often the daemon is killed.
//
// Owns: the directory it has locked, and the processes that work on its rotated
// files. One goroutine calls a Dir at a time. Pumps own the reading end of their
// FIFOs, and the file of marks (mark.go says what for).
//
// Never: holds back what it was given. What Render returned is written by Write
// or by nobody, so that a caller who notes Size before and after can be killed
// anywhere in between.
//
// What is in the directory:
//
//	lock             flock; who holds it writes here
//	config           how, in svlogd's words (read where Options.Config asks for it)
//	current          what is being written; mode 0644, and 0744 once it was closed well
//	@TAI64N.s        a file that is done; the names grow with each rotation, whatever the clock does
//	@TAI64N.u        one that waits for the processor, or was left behind unclosed
//	@TAI64N.t        what the processor has made of the .u of the same name so far
//	state, newstate  what the processor wants to know next time
//
// svlogd(8) of runit 2.1.2 describes all of it; a real one can take over a
// directory of ours and back.
package svlog
