package toml

import (
	"bytes"
	"errors"
	"sort"
	"strconv"
	"strings"

	gotoml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Bounds for what nobody writes by hand, so that no text takes long to refuse.
const (
	maxProblems = 50   // syntax errors, after which reading ends
	maxKeys     = 1000 // keys of one table
)

// Parse reads TOML. The tree is never nil: what could be read is there even
// when something else could not, so that the caller finds its problems too.
func Parse(file string, data []byte) (*Table, []Problem) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := &parser{file: file, data: data, root: &Table{Pos: Pos{File: file, Line: 1, Col: 1}}}
	p.current = p.root
	for i, c := range data {
		if c == '\n' {
			p.newlines = append(p.newlines, i)
		}
	}
	for start := 0; start < len(data) && len(p.problems.list) < maxProblems; {
		start = p.run(start)
	}
	if len(p.problems.list) == 0 {
		p.secondOpinion()
	}
	return p.root, p.problems.Sorted()
}

type parser struct {
	file     string
	data     []byte
	newlines []int // offsets of line ends
	root     *Table
	current  *Table // where key = value goes
	problems Problems

	ast  unstable.Parser
	base int // where in data the ast's text begins
}

// run reads from start up to the end or the first syntax error, and returns
// where reading can go on after it.
func (p *parser) run(start int) int {
	p.base = start
	p.ast.Reset(p.data[start:])
	good := start // end of the last expression that was well formed
	for p.ast.NextExpression() {
		e := p.ast.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			good = p.offset(e.Raw) + int(e.Raw.Length)
			p.keyValue(p.current, e)
		case unstable.Table, unstable.ArrayTable:
			good = p.header(e, e.Kind == unstable.ArrayTable)
		}
	}
	var bad *unstable.ParserError
	if err := p.ast.Error(); err == nil {
		return len(p.data)
	} else if !errors.As(err, &bad) {
		p.problems.Errorf(p.pos(good), "%v", err)
		return len(p.data)
	}
	at := p.offset(p.ast.Range(bad.Highlight))
	if lineStart := bytes.LastIndexByte(p.data[:at], '\n') + 1; bytes.HasPrefix(bytes.TrimLeft(p.data[lineStart:], " \t"), []byte("[")) {
		p.current = &Table{} // a header that could not be read: its keys belong to nobody
	}
	p.current.Broken = true
	where, text := p.explain(good, at, bad.Message)
	p.problems.Errorf(p.pos(where), "%s", text)
	return p.resume(good, at)
}

// Characters of bare keys, and of the names in headers.
const (
	keyBytes    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	headerBytes = keyBytes + ".\"' "
)

// likeHeader tells whether a line looks like [name] or [[name]].
func likeHeader(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	name := bytes.TrimLeft(line, "[ \t")
	rest := bytes.TrimLeft(name, headerBytes)
	return len(line) > 0 && line[0] == '[' && len(rest) < len(name) && len(rest) > 0 && rest[0] == ']'
}

// likeKey tells whether a line looks like key =, a header or a comment.
func likeKey(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	rest := bytes.TrimLeft(line, keyBytes)
	if len(rest) < len(line) {
		rest = bytes.TrimLeft(rest, " \t")
		return len(rest) > 0 && rest[0] == '='
	}
	return len(line) > 0 && (line[0] == '#' || line[0] == '[')
}

// resume finds the line after a syntax error where the text makes sense again:
// the next key if no bracket is left open, else the next header. A wrong guess
// would drown the real problem in false ones.
func (p *parser) resume(from, at int) int {
	like := likeHeader
	end := p.lineEnd(at)
	if balanced(p.data[from:end]) {
		like = likeKey
	}
	for end < len(p.data) {
		next := end + 1
		end = p.lineEnd(next)
		if like(p.data[next:end]) {
			return next
		}
	}
	return len(p.data)
}

func (p *parser) lineEnd(at int) int {
	if i := bytes.IndexByte(p.data[min(at, len(p.data)):], '\n'); i >= 0 {
		return at + i
	}
	return len(p.data)
}

// balanced tells whether every bracket in the text is closed, leaving out
// strings and comments. A string that its line does not close ends there.
func balanced(text []byte) bool {
	depth := 0
	for _, line := range bytes.Split(text, []byte("\n")) {
		var quote byte
	line:
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quote == '"' && c == '\\':
				i++
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case c == '#':
				break line
			case c == '[' || c == '{':
				depth++
			case c == ']' || c == '}':
				depth--
			}
		}
	}
	return depth <= 0
}

func (p *parser) offset(r unstable.Range) int { return p.base + int(r.Offset) }

func (p *parser) pos(offset int) Pos {
	line := sort.SearchInts(p.newlines, offset) // line ends before offset
	start := 0
	if line > 0 {
		start = p.newlines[line-1] + 1
	}
	return Pos{File: p.file, Line: line + 1, Col: offset - start + 1}
}

// header opens [a.b] or [[a.b]] and returns the offset behind its name.
func (p *parser) header(e *unstable.Node, many bool) int {
	var path []*unstable.Node
	for it := e.Key(); it.Next(); {
		path = append(path, it.Node())
	}
	last := path[len(path)-1]
	end := p.offset(last.Raw) + int(last.Raw.Length)
	pos := p.headerPos(p.offset(path[0].Raw))
	// Keys below a header that cannot be opened must not land elsewhere.
	p.current = &Table{Pos: pos}

	t := p.root
	for _, k := range path[:len(path)-1] {
		if t = p.descend(t, k, false); t == nil {
			return end
		}
	}
	name := string(last.Data)
	found := t.Get(name)
	if many {
		if found == nil {
			found = &Key{name, pos, &Value{Pos: pos, Kind: List, Header: true}}
			p.add(t, *found)
		}
		if v := found.Value; v.Kind != List || !v.Header {
			p.problems.Errorf(pos, "[[%s]]: %q was given before, at line %d, as %s", name, name, found.Pos.Line, v.Kind)
			return end
		}
		p.current.header = true
		found.Value.List = append(found.Value.List, &Value{Pos: pos, Kind: Nested, Table: p.current, Header: true})
		return end
	}
	switch {
	case found == nil:
		p.current.header = true
		p.add(t, Key{name, pos, &Value{Pos: pos, Kind: Nested, Table: p.current, Header: true}})
	case found.Value.Kind != Nested || found.Value.Table.closed:
		p.problems.Errorf(pos, "[%s]: %q was given before, at line %d", name, name, found.Pos.Line)
	case found.Value.Table.header:
		p.problems.Errorf(pos, "[%s] stands here again, first at line %d: for several write [[%s]] each time", name, found.Pos.Line, name)
	default:
		p.current = found.Value.Table
		p.current.header = true
	}
	return end
}

// headerPos is where the bracket before a header's name stands.
func (p *parser) headerPos(at int) Pos {
	for at > 0 && (p.data[at-1] == ' ' || p.data[at-1] == '\t') {
		at--
	}
	for at > 0 && p.data[at-1] == '[' {
		at--
	}
	return p.pos(at)
}

// descend goes one key down, through the last element where the key is a list
// of tables; it makes what is not there. Nil: it cannot.
func (p *parser) descend(t *Table, k *unstable.Node, dotted bool) *Table {
	name, pos := string(k.Data), p.pos(p.offset(k.Raw))
	found := t.Get(name)
	if found == nil {
		sub := &Table{Pos: pos, header: dotted}
		p.add(t, Key{name, pos, &Value{Pos: pos, Kind: Nested, Table: sub}})
		return sub
	}
	switch v := found.Value; {
	case v.Kind == Nested && !v.Table.closed:
		return v.Table
	case v.Kind == List && v.Header && !dotted:
		return v.List[len(v.List)-1].Table
	}
	p.problems.Errorf(pos, "%q was given before, at line %d, so nothing can be added to it here", name, found.Pos.Line)
	return nil
}

func (p *parser) keyValue(t *Table, e *unstable.Node) {
	var last *unstable.Node
	for it := e.Key(); it.Next(); {
		if last != nil {
			if t = p.descend(t, last, true); t == nil {
				return
			}
		}
		last = it.Node()
	}
	name, pos := string(last.Data), p.pos(p.offset(last.Raw))
	value := p.value(e.Value(), p.valueStart(last))
	if found := t.Get(name); found != nil {
		p.problems.Errorf(pos, "%q is given twice, first at line %d", name, found.Pos.Line)
		return
	}
	p.add(t, Key{name, pos, value})
}

// add puts a key into a table that does not have it.
func (p *parser) add(t *Table, k Key) {
	if len(t.Keys) == maxKeys {
		p.problems.Errorf(k.Pos, "the table has more than %d keys", maxKeys)
	}
	if len(t.Keys) <= maxKeys {
		t.Keys = append(t.Keys, k)
	}
}

// valueStart is where the value behind a key begins: the parser does not tell
// it for lists.
func (p *parser) valueStart(key *unstable.Node) int {
	at := p.offset(key.Raw) + int(key.Raw.Length)
	for at < len(p.data) && (p.data[at] == ' ' || p.data[at] == '\t' || p.data[at] == '=') {
		at++
	}
	return at
}

func (p *parser) value(n *unstable.Node, start int) *Value {
	if n.Raw.Length > 0 {
		start = p.offset(n.Raw)
	}
	v := &Value{Pos: p.pos(start), Text: string(n.Data)}
	switch n.Kind {
	case unstable.String:
		v.Kind = Text
	case unstable.Bool:
		v.Kind, v.Bool = Bool, v.Text == "true"
	case unstable.Integer:
		v.Kind = Number
		number, err := strconv.ParseInt(strings.TrimPrefix(v.Text, "+"), 0, 64)
		if err != nil {
			p.problems.Errorf(v.Pos, "%s is too large a number", v.Text)
		}
		v.Number = number
	case unstable.Float:
		v.Kind = Decimal
	case unstable.Array:
		v.Kind = List
		for it := n.Children(); it.Next(); {
			v.List = append(v.List, p.value(it.Node(), start))
		}
	case unstable.InlineTable:
		v.Kind, v.Table = Nested, &Table{Pos: v.Pos}
		for it := n.Children(); it.Next(); {
			p.keyValue(v.Table, it.Node())
		}
		closeAll(v.Table)
	default:
		v.Kind = Date
	}
	return v
}

// closeAll keeps a complete inline table as it is, with those that dotted keys
// made in it.
func closeAll(t *Table) {
	t.closed = true
	for _, k := range t.Keys {
		if k.Value.Kind == Nested && !k.Value.Table.closed {
			closeAll(k.Value.Table)
		}
	}
}

// secondOpinion asks the library's own decoder, which is stricter than its
// parser in a few corners: dates, numbers, what a dotted key may reopen.
func (p *parser) secondOpinion() {
	var all map[string]any
	err := gotoml.Unmarshal(p.data, &all)
	if err == nil {
		return
	}
	var bad *gotoml.DecodeError
	pos := Pos{File: p.file, Line: 1, Col: 1}
	if errors.As(err, &bad) {
		pos.Line, pos.Col = bad.Position()
	}
	p.problems.Errorf(pos, "%s", strings.TrimPrefix(err.Error(), "toml: "))
}
