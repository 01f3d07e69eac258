package toml

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Quote prints a text as TOML. A text with backslashes or double quotes stands
// in '…' where it can, as people would write it.
func Quote(s string) string {
	plain := utf8.ValidString(s)
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			plain = false
		}
	}
	if plain && strings.ContainsAny(s, `\"`) && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// QuoteAll prints texts as a list.
func QuoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// QuoteKey prints a key, in quotes where it needs them.
func QuoteKey(s string) string {
	if bareKey.MatchString(s) {
		return s
	}
	return Quote(s)
}

// QuoteTime prints a duration as a text: "5s", "1m30s", "2h".
func QuoteTime(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return Quote(s)
}

// Nearest returns the candidate that somebody who wrote word most likely meant,
// or "". Of equally near ones the first wins.
func Nearest(word string, candidates []string) string {
	return within(max(1, len(word)/3), word, candidates)
}

// Slip is Nearest where no more than one letter was added, dropped, changed or
// swapped: for words that may be meant as they stand.
func Slip(word string, candidates []string) string { return within(1, word, candidates) }

func within(most int, word string, candidates []string) string {
	best, limit := "", most+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); c != word && d < limit {
			best, limit = c, d
		}
	}
	return best
}

// DidYouMean is the end of a message that offers the nearest candidate, or "".
func DidYouMean(word string, candidates []string) string {
	if c := Nearest(word, candidates); c != "" {
		return "; did you mean " + c + "?"
	}
	return ""
}

// distance counts the letters to add, drop, change or swap to get from a to b.
func distance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
