// Package superdir
//
// Is: the supervise/ directory of a runit service directory (runsv(8)): what
// other tools read in it and write to it. It is a face over the core: it asks
// like any other client, and nothing inside waits for it.
//
// Owns: the files in supervise/ of every service of the runit dialect, their
// locks, and one goroutine for all of them.
//
// Never: knows more of a service than its status says, or touches the files of
// a directory that somebody else supervises.
//
//	lock      flock of who supervises; a directory locked by another is not ours
//	ok        FIFO, held open for reading: opening it for writing fails when nobody supervises
//	control   FIFO: a byte is a command
//	status    20 bytes, see Status
//	stat      the same for people
//	pid       of the process, or nothing
package superdir
