// Package supervise
//
// Is: the process edge. It carries out what the engine decides about processes
// and records, and reports what became of it.
//
// Owns: the processes of every service from clone to the last one gone, their
// cgroups or sessions, their output on its way to the log, the records in the run
// directory and the notify socket.
//
// Never: decides that something should start or stop, retries, or blocks its
// caller. Post is called from its own goroutines only.
//
// What it keeps in the run directory:
//
//	lock               flock; the owner's pid
//	boot               what the pids in the records belong to; another boot wipes them.
//	                   Also the cgroup of the trees: it stays as long as there are notes
//	global             the core's own record
//	svc/NAME           the record of one service
//	run/NAME/ATTEMPT   note of one attempt: "main" before the clone, "main 812 99142" after it;
//	                   without cgroups also the flock'd mark that its processes inherit;
//	                   "main !" while it may be there without its limits
//	ready/NAME.ATTEMPT FIFO of a main process that says READY on a descriptor; it may be
//	                   executed, as it were, once READY has come, by whichever way
//	output/NAME.fifo   what the service says; output/NAME.to, where that goes unless to a file
//	marks              how far the carrying of what is said went: see svlog
//	notify             datagram socket of those that say it by sd_notify
package supervise
