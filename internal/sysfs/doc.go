// Package sysfs
//
// Is: the words of one device, read from /sys.
//
// Owns: how a property, an attribute and the derived ID_ words are read, and
// whether /sys shows this network namespace at all.
//
// Never: walks, watches or remembers devices; the sources do.
package sysfs
