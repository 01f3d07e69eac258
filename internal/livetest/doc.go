// Package livetest
//
// Is: a way for tests to meet the real kernel without touching the machine.
//
// Owns: running the current test again inside fresh user, network and mount
// namespaces, with a sysfs of that network namespace on /sys. Bursts of kernel
// messages: catching them, and playing them to a source's table with a loss.
//
// Never: is imported by anything but tests.
package livetest
