package svlogd

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/svlog"
)

// errUsage is any mistake on the command line.
var errUsage = errors.New("usage: svlogd [-tttv] [-r C] [-R CHARS] [-l LEN] [-b BUF] DIR [DIR...]")

// patience is how long a full disk may keep who writes to us waiting.
const patience = 3 * time.Second

// options are what the command line says.
type options struct {
	svlog.Options
	stamps  int // -t, so many times
	verbose bool
	replace byte   // -r; 0: not given
	charset string // -R
	dirs    []string
}

// parse reads the command line; what the directories have to say goes to stderr.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{Options: svlog.Options{
		MaxSize: 1000000, LineLen: 1000, Keep: 10, Patience: patience, Config: true, Alert: stderr,
	}}
	buffer := 1024
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		arg := args[0][1:]
		args = args[1:]
		if arg == "-" {
			break
		}
		for arg != "" {
			flag := arg[0]
			arg = arg[1:]
			if strings.IndexByte("rRlb", flag) < 0 {
				if err := o.flag(flag); err != nil {
					return nil, err
				}
				continue
			}
			if arg == "" {
				if len(args) == 0 {
					return nil, errUsage
				}
				arg, args = args[0], args[1:]
			}
			if err := o.value(flag, arg, &buffer); err != nil {
				return nil, err
			}
			arg = ""
		}
	}
	if o.dirs = args; len(args) == 0 || buffer <= o.LineLen {
		return nil, errUsage
	}
	o.Stamp = []svlog.Stamp{svlog.None, svlog.TAI64N, svlog.Human, svlog.ISO}[min(o.stamps, 3)]
	o.Replace = o.table()
	return o, nil
}

func (o *options) flag(flag byte) error {
	switch flag {
	case 't':
		o.stamps++
	case 'v':
		o.verbose = true
	default:
		return errUsage
	}
	return nil
}

func (o *options) value(flag byte, value string, buffer *int) error {
	switch flag {
	case 'r':
		if len(value) != 1 {
			return errUsage
		}
		o.replace = value[0]
		return nil
	case 'R':
		o.charset = value
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 30)
	switch {
	case err != nil:
		return errUsage
	case n == 0: // the default
	case flag == 'l':
		o.LineLen = int(n)
	default:
		*buffer = int(n)
	}
	return nil
}

// table is what -r and -R make of each byte; nil: all stay what they are.
func (o *options) table() *[256]byte {
	by := o.replace
	if by == 0 {
		if o.charset == "" {
			return nil
		}
		by = '_'
	}
	var t [256]byte
	for c := range 256 {
		t[c] = byte(c)
		if c < 32 || c > 126 || strings.IndexByte(o.charset, byte(c)) >= 0 {
			t[c] = by
		}
	}
	return &t
}
