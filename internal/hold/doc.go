// Package hold
//
// Is: a hold: one reason why a service is wanted. Who holds, through which
// object, since when, and how strongly.
//
// Owns: the three levels, the phases of a hold, caps, cover (does what holds a
// service now share anything with what held it when it started?) and the
// arithmetic of damping.
//
// Never: counts. The count of a service is how many holds there are.
package hold
