package toml

// Kind says what a value is.
type Kind uint8

const (
	Text Kind = iota + 1
	Bool
	Number  // a whole number
	Decimal // a number with a point or an exponent
	Date    // a date, a time of day, or both
	List
	Nested // a table, inline or with a header of its own
)

// String is the kind as messages name it.
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Bool:
		return "true or false"
	case Number:
		return "a number"
	case Decimal:
		return "a decimal number"
	case Date:
		return "a date"
	case List:
		return "a list"
	}
	return "a table"
}

// Value is one value and where it stands.
type Value struct {
	Pos    Pos
	Kind   Kind
	Text   string // of text, what it says; of numbers and dates, as written
	Bool   bool
	Number int64
	List   []*Value
	Table  *Table
	Header bool // made by [name] or [[name]]
}

// Table is keys in the order in which they stand.
type Table struct {
	Pos  Pos
	Keys []Key

	// Broken tells that something in the table could not be read, so that a
	// missing key says nothing.
	Broken bool

	closed bool // inline, or complete: later headers and dotted keys must not add to it
	header bool // has had its own [header]
}

// Key is one key of a table with its value.
type Key struct {
	Name  string
	Pos   Pos
	Value *Value
}

// Get returns the key of that name, or nil.
func (t *Table) Get(name string) *Key {
	for i := range t.Keys {
		if t.Keys[i].Name == name {
			return &t.Keys[i]
		}
	}
	return nil
}
