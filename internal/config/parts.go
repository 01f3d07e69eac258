package config

import (
	"bytes"
	"strings"
)

// part is one file of a text archive in the form of txtar: a line "-- name --",
// then the text.
type part struct {
	name string
	data []byte
}

// quoted marks a part whose lines all begin with >, because one of them looks
// like the beginning of a part.
const quoted = "quoted "

func joinParts(parts []part) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		prefix, name := "", p.name
		for line := range bytes.Lines(p.data) {
			if _, ok := marker(line); ok {
				prefix, name = ">", quoted+p.name
			}
		}
		b.WriteString("-- " + name + " --\n")
		for line := range bytes.Lines(p.data) {
			b.WriteString(prefix)
			b.Write(line)
			if !bytes.HasSuffix(line, []byte("\n")) {
				b.WriteByte('\n') // the last line; TOML does not care
			}
		}
	}
	return b.Bytes()
}

// splitParts undoes joinParts. Text before the first part is a comment.
func splitParts(data []byte) []part {
	var parts []part
	unquote := false
	for line := range bytes.Lines(data) {
		if name, ok := marker(line); ok {
			name, unquote = strings.CutPrefix(name, quoted)
			parts = append(parts, part{name: name})
			continue
		}
		if len(parts) == 0 {
			continue
		}
		if unquote {
			line = bytes.TrimPrefix(line, []byte(">"))
		}
		last := &parts[len(parts)-1]
		last.data = append(last.data, line...)
	}
	return parts
}

// marker returns the name in a line that begins a part.
func marker(line []byte) (string, bool) {
	text := strings.TrimRight(string(line), "\r\n")
	if len(text) < len("-- x --") || !strings.HasPrefix(text, "-- ") || !strings.HasSuffix(text, " --") {
		return "", false
	}
	return text[3 : len(text)-3], true
}
