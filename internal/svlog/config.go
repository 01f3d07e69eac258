package svlog

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// config is how a directory is kept: what Options say, then what its own file
// `config` says.
type config struct {
	size          int64
	keep, minKeep int
	age           time.Duration
	processor     string
	prefix        string
	udp           netip.AddrPort // not valid: none
	udpOnly       bool
	rules         []rule
}

// parse reads svlogd's configuration into c. A line that says nothing leaves c
// as it is and makes a problem that names it; the other lines count.
func (c *config) parse(file string, text []byte) (problems []error) {
	for i, line := range strings.Split(string(text), "\n") {
		if err := c.line(line); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w; the line is ignored", file, i+1, err))
		}
	}
	return problems
}

func (c *config) line(line string) (err error) {
	if line == "" {
		return nil
	}
	verb, rest := line[0], line[1:]
	switch verb {
	case '#':
	case 's':
		err = quantity(&c.size, rest, map[string]int64{"": 1, "k": 1 << 10, "m": 1 << 20})
	case 't':
		err = quantity(&c.age, rest, map[string]time.Duration{"": time.Second, "m": time.Minute, "h": time.Hour})
	case 'n':
		err = quantity(&c.keep, rest, map[string]int{"": 1})
	case 'N':
		err = quantity(&c.minKeep, rest, map[string]int{"": 1})
	case '!':
		c.processor = rest
	case 'p':
		c.prefix = rest
	case 'u', 'U':
		err = c.address(rest, verb == 'U')
	case '+', '-', 'e', 'E':
		c.rules = append(c.rules, rule{verb, rest})
	default:
		err = fmt.Errorf("unknown line %q", line)
	}
	return err
}

// quantity reads a number with one of the units.
func quantity[N ~int | ~int64](into *N, text string, units map[string]N) error {
	digits := strings.TrimRight(text, "kmh")
	unit, known := units[text[len(digits):]]
	if !known {
		return fmt.Errorf("unknown unit in %q", text)
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return fmt.Errorf("not a number, or too great: %q", text)
	}
	*into = N(n) * unit
	return nil
}

func (c *config) address(text string, only bool) error {
	if !strings.Contains(text, ":") {
		text += ":514" // syslog's
	}
	to, err := netip.ParseAddrPort(text)
	if err != nil || !to.Addr().Is4() || to.Port() == 0 {
		return fmt.Errorf("not an IPv4 address with or without a port: %q", text)
	}
	c.udp, c.udpOnly = to, only
	return nil
}
