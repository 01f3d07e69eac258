// Package sysmgr
//
// Is: the commands of sysmgr, as questions to the daemon: svctl, sysmgr-depends
// and the older sysmgr-needs, runsyssv, checkprocess, and sysmgr itself, which
// becomes the daemon.
//
// Owns: sysmgr's words, exit statuses and directories as its users name them.
//
// Never: keeps anything about a service, or starts one. There are no files pid,
// syspid and lock: the daemon knows its processes, and a file cannot go stale
// that is not there.
package sysmgr
