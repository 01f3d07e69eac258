package rule

import (
	"slices"
	"strings"
)

var signals = []string{
	"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
	"STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
	"PWR", "SYS",
}

// Signal returns a signal's name without SIG, and whether there is one.
func Signal(name string) (string, bool) {
	name = strings.TrimPrefix(name, "SIG")
	return name, slices.Contains(signals, name)
}

// Signals lists the names of the signals, for suggestions.
func Signals() []string { return slices.Clone(signals) }
