// Package uevent
//
// Is: /sys and the kernel's uevent socket as batches of devices.
//
// Owns: decoding uevents, walking /sys for a list, and what a device is: its
// words and which life of its devpath it is.
//
// Never: matches, waits for udevd, or believes a sender that is not the kernel.
package uevent
