package toml

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

var (
	attrKey  = regexp.MustCompile(`(ATTRS?\{[^}"'\n]*\}?)[ \t]*=`)
	unitTime = regexp.MustCompile(`^[0-9][0-9.]*(ns|us|ms|s|m|h|d)[a-z]*\b`)
	bareWord = regexp.MustCompile(`^[^\s,\]}#"'=]+`)
	zeros    = regexp.MustCompile(`^0[0-9A-Fa-f]+`)
	env      = regexp.MustCompile(`^[ \t]*(\[[ \t]*env[ \t]*\]|env[ \t]*[=.])`)
)

// secret tells whether a place is in a table env, whose values no message shows.
func (p *parser) secret(line, at int) bool {
	header := max(0, bytes.LastIndex(p.data[:at], []byte("\n["))+1)
	return env.Match(p.data[line:at]) || p.data[header] == '[' && env.Match(p.data[header:at])
}

// explain turns the parser's message about what stands at an offset into one
// that says what to write. It may move the place to where people must look.
func (p *parser) explain(from, at int, message string) (int, string) {
	start := bytes.LastIndexByte(p.data[:at], '\n') + 1
	line := p.data[start:p.lineEnd(start)]
	for _, m := range attrKey.FindAllSubmatchIndex(line, -1) {
		if start+m[2] <= at && at <= start+m[1] {
			return start + m[2], fmt.Sprintf("quote this key: %q", line[m[2]:m[3]])
		}
	}
	if strings.HasPrefix(message, "invalid escape character") {
		return p.explainEscape(start, at, line)
	}
	if at == len(p.data) || bytes.IndexByte([]byte("\r\n,]}"), p.data[at]) >= 0 {
		if before := bytes.TrimRight(p.data[start:at], " \t"); bytes.HasSuffix(before, []byte("=")) {
			return at, "a value is missing"
		}
	}
	if p.secret(start, at) {
		return at, message
	}
	value := valueAt(line[:at-start])
	rest := line[value:]
	switch unit, word := unitTime.Find(rest), bareWord.Find(rest); {
	case value == 0 || len(word) == 0 || rest[0] == '[' || rest[0] == '{':
	case unit != nil:
		return start + value, fmt.Sprintf("a time stands in quotes: write %q", unit)
	case zeros.Match(rest):
		return start + value, fmt.Sprintf("a number cannot begin with 0: if it is text, write %q", word)
	case isYesNo(string(word)):
		return start + value, fmt.Sprintf("write true or false, not %s", word)
	case strings.Contains(message, "start of value"), strings.Contains(message, "expected keyword"):
		return start + value, fmt.Sprintf("text stands in quotes: write %q", word)
	}
	if at >= len(p.data) {
		at = max(from, len(bytes.TrimRight(p.data, "\r\n\t "))-1)
	}
	return at, message
}

// explainEscape speaks of a backslash in a "…" text: mostly a regular expression.
func (p *parser) explainEscape(start, at int, line []byte) (int, string) {
	open := bytes.LastIndexByte(line[:at-start], '"')
	shut := bytes.IndexByte(line[at-start:], '"')
	if open < 0 || shut < 0 || p.secret(start, at) {
		return at, `a backslash begins an escape in "…": use '…' to mean it as it stands`
	}
	text := line[open+1 : at-start+shut]
	if body, ok := bytes.CutPrefix(text, []byte("~")); ok {
		body = bytes.TrimSuffix(bytes.TrimPrefix(body, []byte("^")), []byte("$"))
		return start + open, fmt.Sprintf(`a backslash begins an escape in "…": write '~%s' (a ~regex is anchored already)`, body)
	}
	return start + open, fmt.Sprintf(`a backslash begins an escape in "…": write '%s'`, text)
}

// valueAt is the offset of the value that the end of the text belongs to, or 0.
func valueAt(before []byte) int {
	at := bytes.LastIndexAny(before, "=,[")
	if at < 0 {
		return 0
	}
	for at++; at < len(before) && (before[at] == ' ' || before[at] == '\t'); at++ {
	}
	return at
}

func isYesNo(word string) bool {
	switch strings.ToLower(word) {
	case "yes", "no", "on", "off", "true", "false":
		return true
	}
	return false
}
