package rule

import (
	"cmp"
	"slices"
	"strings"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
)

// Index finds the rules that an object may match without asking each one.
//
// Each rule is filed under one word that its match compares with plain texts,
// the one that tells most objects apart. An object then asks, for each word that
// any rule is filed under, only for the rules of its own value.
type Index struct {
	rules []Rule
	kinds map[object.Kind]*kindIndex
}

type kindIndex struct {
	always []int // rules with no plain text to be filed under
	words  []wordIndex
}

type wordIndex struct {
	word    string
	byValue map[string][]int
	all     []int // for objects whose value is not known yet
}

// Words by how well they tell objects apart. Those not listed come between.
var (
	sharpest = []string{"DEVNAME", "KERNEL", "name", "target", "mac", "permaddr", "ID_SERIAL_SHORT", "DEVPATH", "ID_MODEL_ID", "ID_VENDOR_ID"}
	bluntest = []string{"type", "iftype", "DEVTYPE", "DRIVER", "SUBSYSTEM", "fstype", "wireless", "running", "carrier", "ro", "synchronized", "physical", "up"}
)

func sharpness(word string) int {
	if i := slices.Index(sharpest, word); i >= 0 {
		return i
	}
	return len(sharpest) + 1 + slices.Index(bluntest, word)
}

// NewIndex builds the index of rules that are in order and stay unchanged.
func NewIndex(rules []Rule) *Index {
	x := &Index{rules: rules, kinds: make(map[object.Kind]*kindIndex)}
	for _, kind := range object.Kinds {
		x.kinds[kind] = &kindIndex{}
	}
	for i := range rules {
		k, cond := x.kinds[rules[i].Object], rules[i].Match
		if rules[i].LinkUp { // asked about links that are down, too
			cond = rules[i].Identity()
		}
		if k != nil {
			k.file(i, &cond)
		}
	}
	return x
}

func (k *kindIndex) file(i int, c *match.Cond) {
	words := c.Words()
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(sharpness(a), sharpness(b)) })
	for _, word := range words {
		values := c.Literals(word)
		if len(values) == 0 || strings.HasPrefix(word, "ATTRS{") {
			continue // ATTRS{x} may be a word of an ancestor
		}
		at := slices.IndexFunc(k.words, func(w wordIndex) bool { return w.word == word })
		if at < 0 {
			at = len(k.words)
			k.words = append(k.words, wordIndex{word: word, byValue: make(map[string][]int)})
		}
		w := &k.words[at]
		for _, v := range values {
			w.byValue[v] = append(w.byValue[v], i)
		}
		w.all = append(w.all, i)
		return
	}
	k.always = append(k.always, i)
}

// Candidates returns, in rule order, the positions of the rules whose match may
// answer other than no for the object. It appends to buf, to allocate nothing.
func (x *Index) Candidates(o *object.Object, buf []int) []int {
	k := x.kinds[o.Life.Key.Kind]
	if k == nil {
		return buf
	}
	from := len(buf)
	buf = append(buf, k.always...)
	for i := range k.words {
		w := &k.words[i]
		values, present := o.Words[w.word]
		if present && values == nil {
			buf = append(buf, w.all...)
		}
		for _, v := range values {
			buf = append(buf, w.byValue[match.Normal(w.word, v)]...)
		}
	}
	slices.Sort(buf[from:])
	return buf[:from+len(slices.Compact(buf[from:]))]
}
