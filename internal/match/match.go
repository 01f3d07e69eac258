package match

// Answer is what a condition says of an object.
type Answer uint8

const (
	No      Answer = iota
	Unknown        // a source has not told yet what the condition asks for
	Yes
)

// Reader gives the words of one object. ok is false for a word that is unknown;
// no values with ok true means absent.
type Reader interface {
	Values(word string) (values []string, ok bool)
}

// Cond is a condition: a table of words and patterns, all of which must hold,
// with all, any and not nested in it. Its zero value is `{}`, which every
// object meets.
type Cond struct{}

// Eval answers for one object. Patterns may hold {word}: the word of the
// subject, which may be nil where there is none.
func (c *Cond) Eval(object, subject Reader) Answer { return No }

// Words lists the words that the condition reads, sorted, each once.
func (c *Cond) Words() []string { return nil }
