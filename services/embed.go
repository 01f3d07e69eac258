// Package services holds the service definitions that hotsvc ships, the lowest
// layer of all.
package services

import "embed"

// FS holds the definitions and, in variants/, those of services that more than
// one program can do.
//
//go:embed *.toml variants/*.toml
var FS embed.FS

// Variant is one program's way to do a service. Of a service's variants the
// first whose program the system has, with a script where it wants one, is the
// definition; then the first whose program is there; if there is none, the first
// of all, so that the failure names a program to install.
type Variant struct {
	Service string   // the file that the variant stands for
	File    string   // the file it is, in FS
	Program string   // what to look for
	Scripts []string // the program does nothing useful without one of these, or is another one of the same name
}

// Variants lists them in the order of preference. The busybox of a distribution
// that has its own DHCP client is the last resort: it comes without a script.
var Variants = []Variant{
	{"dhcp@.toml", "variants/dhcp@udhcpc.toml", "udhcpc", udhcpcScripts},
	{"dhcp@.toml", "variants/dhcp@udhcpc-own.toml", "udhcpc", ownScript},
	{"dhcp@.toml", "variants/dhcp@dhcpcd.toml", "dhcpcd", nil},
	{"dhcp@.toml", "variants/dhcp@dhclient.toml", "dhclient", nil},
	{"dhcp@.toml", "variants/dhcp@busybox.toml", "busybox", udhcpcScripts},
	{"dhcp@.toml", "variants/dhcp@busybox-own.toml", "busybox", ownScript},
	{"dhcpd@.toml", "variants/dhcpd@udhcpd.toml", "udhcpd", nil},
	{"dhcpd@.toml", "variants/dhcpd@busybox.toml", "busybox", nil},
	{"ftpd.toml", "variants/ftpd@vsftpd.toml", "vsftpd", nil},
	{"ftpd.toml", "variants/ftpd@busybox.toml", "tcpsvd", nil},
	{"getty@.toml", "variants/getty@agetty.toml", "agetty", nil},
	{"getty@.toml", "variants/getty@getty.toml", "getty", nil},
	{"getty@.toml", "variants/getty@busybox.toml", "busybox", nil},
	{"inetd.toml", "variants/inetd@openbsd.toml", "inetd", []string{"/etc/init.d/openbsd-inetd"}},
	{"inetd.toml", "variants/inetd@busybox.toml", "inetd", nil},
	{"ntpd.toml", "variants/ntpd@chrony.toml", "chronyd", nil},
	{"ntpd.toml", "variants/ntpd@openntpd.toml", "ntpctl", nil},
	{"ntpd.toml", "variants/ntpd@ntpd.toml", "ntpd", nil},
	{"tftpd.toml", "variants/tftpd@hpa.toml", "in.tftpd", nil},
	{"tftpd.toml", "variants/tftpd@busybox.toml", "udpsvd", nil},
	{"zeroconf@.toml", "variants/zeroconf@avahi.toml", "avahi-autoipd", nil},
	{"zeroconf@.toml", "variants/zeroconf@zcip.toml", "zcip", []string{"/etc/zcip.script"}},
}

var (
	udhcpcScripts = []string{"/usr/share/udhcpc/default.script", "/etc/udhcpc/default.script"}
	ownScript     = []string{"/etc/hotsvc/udhcpc.script"} // udhcpc.script here, by make install
)
