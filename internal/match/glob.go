package match

import (
	"strings"
	"unicode/utf8"
)

// A glob knows * (any text, slashes too: devpaths and mount points are full of
// them), ? (one character), [a-z], [!a-z] and \ before a character that means
// itself.

// checkGlob says what is wrong with a glob, or "".
func checkGlob(p string) string {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			if i++; i == len(p) {
				return "ends in a backslash"
			}
		case '[':
			n := classLen(p[i:])
			if n < 0 {
				return `has "[" without "]": write \[ for the character itself`
			}
			i += n - 1
		}
	}
	return ""
}

// literal returns the one text that a glob matches, if there is only one.
func literal(p string) (string, bool) {
	if strings.ContainsAny(p, "*?[") && strings.IndexByte(p, '\\') < 0 {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*', '?', '[':
			return "", false
		case '\\':
			i++
		}
		b.WriteByte(p[i])
	}
	return b.String(), true
}

// escapeGlob makes a glob that matches just this text.
func escapeGlob(s string) string {
	if !strings.ContainsAny(s, `*?[\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(`*?[\`, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// glob tells whether a glob matches the whole text. It remembers only the last
// star, so its time is bounded by the product of the lengths.
func glob(p, s string) bool {
	star, from := -1, 0 // where the last star's rest begins in p, and its try in s
	i, j := 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			i++
			star, from = i, j
			continue
		}
		if n, m := matchOne(p[i:], s[j:]); m > 0 {
			i, j = i+n, j+m
			continue
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[from:])
		from += size
		i, j = star, from
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// matchOne matches one pattern element with one character and returns both
// lengths, or zeros.
func matchOne(p, s string) (n, m int) {
	if p == "" {
		return 0, 0
	}
	r, size := utf8.DecodeRuneInString(s)
	switch p[0] {
	case '?':
		return 1, size
	case '[':
		n := classLen(p)
		if n > 0 && inClass(p[1:n-1], r) {
			return n, size
		}
		return 0, 0
	case '\\':
		p, n = p[1:], 1
	}
	if p != "" && p[0] == s[0] {
		return n + 1, 1
	}
	return 0, 0
}

// classLen is the length of the [class] that p begins with, or -1.
func classLen(p string) int {
	i := 1
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		i++
	}
	for first := true; i < len(p); first = false {
		switch {
		case p[i] == ']' && !first:
			return i + 1
		case p[i] == '\\':
			i++
		}
		i++
	}
	return -1
}

func inClass(class string, r rune) bool {
	negated := false
	if class != "" && (class[0] == '!' || class[0] == '^') {
		negated, class = true, class[1:]
	}
	for class != "" {
		var low, high rune
		low, class = classRune(class)
		high = low
		if len(class) > 1 && class[0] == '-' {
			high, class = classRune(class[1:])
		}
		if low <= r && r <= high {
			return !negated
		}
	}
	return negated
}

func classRune(class string) (rune, string) {
	if class[0] == '\\' && len(class) > 1 {
		class = class[1:]
	}
	r, size := utf8.DecodeRuneInString(class)
	return r, class[size:]
}
