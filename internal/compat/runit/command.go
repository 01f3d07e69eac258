package runit

import (
	"strings"

	"hotsvc/internal/compat"
)

// Programs are the names in this family.
var Programs = map[string]compat.Program{"sv": sv, "svc": svc, "svok": svok}

// command is what one word of sv's asks.
type command struct {
	letters string // what is told, in this order; see runsv(8)
	goal    byte   // what is waited for: see met
	waits   bool   // even without -v
	kill    bool   // when the time is up
	show    bool   // status
}

// words are the commands that are written out; of all others the first letter counts.
var words = map[string]command{
	"start":          {letters: "u", goal: 'u', waits: true},
	"stop":           {letters: "d", goal: 'd', waits: true},
	"restart":        {letters: "tcu", goal: 't', waits: true},
	"reload":         {letters: "h", goal: 'h', waits: true},
	"shutdown":       {letters: "x", goal: 'x', waits: true},
	"try-restart":    {letters: "tc", goal: 't', waits: true},
	"check":          {goal: 'C', waits: true},
	"force-stop":     {letters: "d", goal: 'd', waits: true, kill: true},
	"force-reload":   {letters: "tc", goal: 't', waits: true, kill: true},
	"force-restart":  {letters: "tcu", goal: 't', waits: true, kill: true},
	"force-shutdown": {letters: "x", goal: 'x', waits: true, kill: true},
}

// capitals are older spellings of some.
var capitals = map[byte]string{'D': "force-stop", 'T': "force-reload", 'E': "force-shutdown", 'X': "force-shutdown"}

// parse tells what a word asks. As an init script (lsb), "status" is not to be shortened.
func parse(word string, lsb bool) (command, bool) {
	if c, ok := words[word]; ok {
		return c, true
	}
	if word == "" {
		return command{}, false
	}
	letter := word[0]
	switch {
	case capitals[letter] != "":
		return words[capitals[letter]], true
	case letter == 's':
		return command{show: true}, !lsb || word == "status"
	case letter == 'e':
		letter = 'x'
	}
	return command{letters: string(letter), goal: letter}, strings.IndexByte("udopchaitkqx12", letter) >= 0
}
