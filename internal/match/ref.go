package match

import "strings"

// CutRef finds the first {word} in a text. In the text before it, {{ has become
// {. A brace that no word follows means itself, and so does ${WORD}, which is a
// shell's. With ok false, before is the whole text.
func CutRef(s string) (before, word, after string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '{' {
			if i+1 < len(s) && s[i+1] == '{' {
				i++
			} else if n := wordLen(s[i+1:]); n > 0 && s[i+1+n:] != "" && s[i+1+n] == '}' && (i == 0 || s[i-1] != '$') {
				return b.String(), s[i+1 : i+1+n], s[i+2+n:], true
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", "", false
}

// wordLen is the length of the word that s begins with: a name, or ATTR{x}.
func wordLen(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	if name := s[:n]; (name == "ATTR" || name == "ATTRS") && n < len(s) && s[n] == '{' {
		end := strings.IndexByte(s[n:], '}')
		if end < 0 {
			return 0
		}
		return n + end + 1
	}
	return n
}

// Refs lists the words that {word} in a text refers to, in order.
func Refs(s string) []string {
	var words []string
	for {
		_, word, after, ok := CutRef(s)
		if !ok {
			return words
		}
		words, s = append(words, word), after
	}
}
