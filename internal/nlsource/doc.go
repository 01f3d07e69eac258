// Package nlsource
//
// Is: what the two socket sources have in common: a multicast netlink socket
// on which only the kernel is believed, and the loop that follows it.
//
// Owns: opening and reading the socket, the check of the sender, overflow (by
// asking package resync), and the source's status with its counts.
//
// Never: knows what a message means.
package nlsource
