package engine

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"hotsvc/internal/config"
)

// A journal is all that a core was given, and what it decided, from one moment
// on: a line with the state and the configuration of that moment, then a line
// for each Step. It replays alone. What is in it is a secret of root's: a
// configuration may hold passwords. Environments are not in it.

// Heading is the first line of a journal.
type Heading struct {
	Journal int      `json:"journal"` // its version
	Version string   `json:"version"` // of the daemon
	BootID  string   `json:"boot_id"`
	Sources []string `json:"sources"`
	Slots   int      `json:"slots"`
	Now     Now      `json:"now"`
	Config  string   `json:"config"` // config.Archive

	State json.RawMessage `json:"state"` // Core.Snapshot
}

// Entry is one Step: its inputs, and its effects by their String.
type Entry struct {
	Now Now      `json:"now"`
	In  []taken  `json:"in"`
	Out []string `json:"out"`
}

// taken is an Input as it is written: a configuration by its files.
type taken struct {
	Input
	Config string `json:"Config,omitempty"`
}

const journalVersion = 1

// record adds to the journals of those who listen, at the end of a Step.
func (c *Core) record(in []Input, effects []Effect) {
	if len(c.recorders) > 0 {
		e := Entry{Now: c.now, In: []taken{}, Out: []string{}}
		for _, i := range in {
			if i.Call != nil && i.Call.Verb == VerbRecord {
				continue // asks for what is no part of the story
			}
			t := taken{Input: i}
			if i.Config != nil {
				t.Input.Config, t.Config = nil, string(i.Config.Archive())
			}
			e.In = append(e.In, t)
		}
		for i := range effects {
			e.Out = append(e.Out, effects[i].String())
		}
		c.tell(c.recorders, e)
	}
	if len(c.newRecorders) > 0 {
		c.tell(c.newRecorders, Heading{journalVersion, c.opt.Version, c.opt.BootID, c.opt.Sources, c.opt.Slots, c.now,
			string(c.conf.Archive()), c.Snapshot()})
		c.recorders, c.newRecorders = append(c.recorders, c.newRecorders...), nil
	}
}

func (c *Core) tell(to []int64, line any) {
	b, err := json.Marshal(line)
	if err != nil {
		panic("engine: a journal line cannot be written: " + err.Error()) // plain values only: our own mistake
	}
	for _, id := range to {
		c.replies = append(c.replies, Effect{Kind: EffectReply, Reply: &Reply{ID: id, More: true, Value: JournalLine(append(b, '\n'))}})
	}
}

// JournalLine is one line of a journal, with its end.
type JournalLine []byte

// Player replays a journal.
type Player struct {
	Heading Heading
	Cut     int // the number of the last line, if that is not whole
	lines   *bufio.Scanner
	number  int
}

// longestLine bounds a line of a journal: a state, or one Step's inputs.
const longestLine = 64 << 20

// NewPlayer reads the beginning of a journal.
func NewPlayer(r io.Reader) (*Player, error) {
	p := &Player{lines: bufio.NewScanner(r)}
	p.lines.Buffer(nil, longestLine)
	if ok, err := p.read(&p.Heading); !ok {
		return nil, cmp.Or(err, errors.New("it is empty"))
	}
	if p.Heading.Journal != journalVersion {
		return nil, fmt.Errorf("line 1: no journal of version %d, which this program reads", journalVersion)
	}
	return p, nil
}

// Core makes the core that the journal begins with.
func (p *Player) Core(conf *config.Config) (c *Core, err error) {
	defer p.stumble(&err)
	h := &p.Heading
	return Resume(Options{Version: h.Version, BootID: h.BootID, Sources: h.Sources, Slots: h.Slots}, conf, h.State, h.Now)
}

// Step gives a core what Next has read.
func (p *Player) Step(c *Core, now Now, in []Input) (effects []Effect, err error) {
	defer p.stumble(&err)
	effects, _ = c.Step(now, in)
	return effects, nil
}

// stumble makes an error of a panic. A core trusts its state, and that is right
// in a daemon; a journal comes from somewhere, and no check of it could tell
// every state that cannot be.
func (p *Player) stumble(err *error) {
	if why := recover(); why != nil {
		*err = fmt.Errorf("line %d: the core cannot go on from there: %v", p.number, why)
	}
}

// Config makes the configuration that was in force when the journal begins.
func (p *Player) Config() (*config.Config, error) {
	return config.FromArchive([]byte(p.Heading.Config))
}

// Next reads a Step, or io.EOF. A last line that is not whole, for the daemon or
// the recorder died, is the end.
func (p *Player) Next() (*Entry, []Input, error) {
	var e Entry
	ok, err := p.read(&e)
	if !ok {
		return nil, nil, cmp.Or(err, io.EOF)
	}
	in := make([]Input, len(e.In))
	for i := range e.In {
		in[i] = e.In[i].Input
		if text := e.In[i].Config; text != "" {
			if in[i].Config, err = config.FromArchive([]byte(text)); err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", p.number, err)
			}
		}
	}
	return &e, in, nil
}

func (p *Player) read(to any) (bool, error) {
	if !p.lines.Scan() {
		return false, p.lines.Err()
	}
	p.number++
	line := p.lines.Bytes()
	if err := json.Unmarshal(line, to); err != nil {
		if p.number > 1 && !p.lines.Scan() {
			p.Cut = p.number
			return false, nil
		}
		return false, fmt.Errorf("line %d: %w", p.number, err)
	}
	return true, nil
}

// Decisions are the effects of a Step that people care for, one line each: not
// the records, nor what the daemon answers itself. replies adds the answers that
// refuse nothing.
func Decisions(effects []Effect, replies bool) []string {
	var out []string
	for i := range effects {
		switch e := &effects[i]; e.Kind {
		case EffectSave, EffectForget, EffectGlobal, EffectRetire:
			continue
		case EffectReply:
			if e.Reply.ID < 0 || e.Reply.Code == CodeYes && !replies {
				continue
			}
		}
		out = append(out, effects[i].String())
	}
	return out
}
