package sysfs

import "strings"

// Texts keeps one copy of texts that repeat: hundreds of devices share a few
// subsystems, drivers and ids. Its zero value is ready.
type Texts struct {
	names map[string]string
	one   map[string][]string
}

// most bounds the memory: beyond it what is kept is forgotten and made anew.
const most = 2048

// Name returns a copy of s that does not hold on to the text s was cut from.
func (t *Texts) Name(s string) string {
	if v, ok := t.names[s]; ok {
		return v
	}
	if t.names == nil || len(t.names) > most {
		t.names = make(map[string]string)
	}
	s = strings.Clone(s)
	t.names[s] = s
	return s
}

// One returns a list of just s. It is shared: read only.
func (t *Texts) One(s string) []string {
	if len(s) > 32 { // long values are rarely shared
		return []string{strings.Clone(s)}
	}
	if v, ok := t.one[s]; ok {
		return v
	}
	if t.one == nil || len(t.one) > most {
		t.one = make(map[string][]string)
	}
	v := []string{strings.Clone(s)}
	t.one[v[0]] = v
	return v
}
