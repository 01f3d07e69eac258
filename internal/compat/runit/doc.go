// Package runit
//
// Is: the programs by which people and scripts steer services under runit and
// daemontools: sv, svc and svok.
//
// Owns: nothing. A service of hotsvc's is asked for and told over the control
// socket, one that another supervises through its supervise/.
//
// Never: decides how a service is to run.
//
// Which service is meant: a name without a slash at its end, a dot or a slash at
// its beginning is the service of that name, of any dialect, or else the
// directory of that name in $SVDIR; without that variable in the first that is
// there of /var/service, /service and /etc/service. Any other is a directory,
// from where the caller is.
package runit
