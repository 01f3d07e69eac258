package svlog

// match says whether an svlogd pattern fits a whole line. A star stands for all
// up to the next byte of the pattern, at the end for all that is left; a plus
// before a byte for a run of that byte. It never goes back: "*ab" does not fit
// "aab". A run that reaches the end of the line ends the match, whatever the
// pattern says after it; svlogd(8) is silent there, and svlogd does so.
func match(pattern string, line []byte) bool {
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '*' && i+1 == len(pattern):
			return true
		case c == '*':
			for len(line) > 0 && line[0] != pattern[i+1] {
				line = line[1:]
			}
			if len(line) == 0 {
				return false
			}
		case c == '+' && i+1 < len(pattern):
			i++
			if len(line) == 0 || line[0] != pattern[i] {
				return false
			}
			for len(line) > 0 && line[0] == pattern[i] {
				line = line[1:]
			}
			if len(line) == 0 {
				return true
			}
		case len(line) == 0 || line[0] != c:
			return false
		default:
			line = line[1:]
		}
	}
	return len(line) == 0
}

// rule is a line of the configuration that begins with +, -, e or E.
type rule struct {
	verb    byte
	pattern string
}

// judge asks all rules about a line, the last that fits decides: whether it goes
// into the directory, and whether it is copied to Options.Alert.
func judge(rules []rule, line []byte) (selected, alert bool) {
	selected = true
	for _, r := range rules {
		if !match(r.pattern, line) {
			continue
		}
		switch r.verb {
		case '+', '-':
			selected = r.verb == '+'
		default:
			alert = r.verb == 'e'
		}
	}
	return selected, alert
}
