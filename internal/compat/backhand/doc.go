// Package backhand
//
// Is: the commands of backhand. The bh- ones tell the daemon what backhand's did
// themselves; semaphore, state, connect and escort stand on their own, for the
// scripts of others.
//
// Owns: backhand's words and exit statuses.
//
// Never: keeps anything about a service of hotsvc's, or starts one itself.
package backhand
