package toml

import (
	"cmp"
	"fmt"
	"slices"
)

// Pos is where something stands. Line and Col count from 1; 0 means the whole file.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

// String is file:line:col, without what is not known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problem is one thing that is wrong, or, as a warning, unwise.
type Problem struct {
	Pos     Pos    `json:"pos"`
	Warning bool   `json:"warning"`
	Text    string `json:"text"`
}

// String is one line: file:line:col: message.
func (p Problem) String() string {
	if p.Warning {
		return p.Pos.String() + ": warning: " + p.Text
	}
	return p.Pos.String() + ": " + p.Text
}

// Problems collects what is wrong, so that people hear all of it at once.
type Problems struct {
	list []Problem
}

// Errorf notes an error.
func (p *Problems) Errorf(pos Pos, format string, args ...any) {
	p.list = append(p.list, Problem{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

// Warnf notes a warning.
func (p *Problems) Warnf(pos Pos, format string, args ...any) {
	p.list = append(p.list, Problem{Pos: pos, Warning: true, Text: fmt.Sprintf(format, args...)})
}

// Add notes problems that somebody else found.
func (p *Problems) Add(problems ...Problem) { p.list = append(p.list, problems...) }

// Sorted returns the problems in the order of the text, each once.
func (p *Problems) Sorted() []Problem {
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Text, b.Text),
		)
	})
	p.list = slices.Compact(p.list) // which empties what stood beyond
	return p.list
}

// HasErrors tells whether any of the problems is more than a warning.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}
