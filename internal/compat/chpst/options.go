package chpst

import (
	"errors"
	"strconv"
	"strings"
)

// uses is how each program is called, for whom it was called wrongly.
var uses = map[string]string{
	"chpst": "[-vVP012] [-u user[:group…]] [-U user[:group…]] [-b argv0] [-e dir] [-/ root] [-C dir] [-n inc] " +
		"[-l|-L lock] [-m|-d|-s|-a|-f|-c|-r bytes] [-o files] [-p processes] [-t seconds] prog",
	"setuidgid": "user[:group…] prog",
	"envuidgid": "user[:group…] prog",
	"envdir":    "dir prog",
	"softlimit": "[-m|-d|-s|-l|-a|-f|-c|-r bytes] [-o files] [-p processes] [-t seconds] prog",
	"setlock":   "[-nNxX] file prog",
	"pgrphack":  "prog",
}

// usage is what a wrong call ends in.
func (p *process) usage(what string) error {
	text := "usage: " + p.name + " " + uses[p.name]
	if what != "" {
		text = p.name + ": " + what + ": " + text
	}
	return &failure{statusUsage, text}
}

// options gives the options at the front of args to take, one by one and with
// its value if it is among valued, and returns what follows, at least a program.
func (p *process) options(args []string, flags, valued string, take func(option byte, value string) error) ([]string, error) {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "-" {
			break
		}
		for word != "" {
			o := word[0]
			word = word[1:]
			value := ""
			switch {
			case strings.IndexByte(flags, o) >= 0:
			case strings.IndexByte(valued, o) < 0:
				return nil, p.usage("no option -" + string(rune(o)))
			case word != "":
				value, word = word, ""
			case len(args) == 0:
				return nil, p.usage("-" + string(rune(o)) + " needs a value")
			default:
				value, args = args[0], args[1:]
			}
			if err := take(o, value); err != nil {
				return nil, err
			}
		}
	}
	if len(args) == 0 {
		return nil, p.usage("which program?")
	}
	return args, nil
}

// number reads one without sign; what is too large for the kernel is the
// largest it has.
func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}
