package vm_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A scenario is a file: its first comment is the title, then a verb a line.
//
//	machine ARGS        more of qemu's arguments, before anything else
//	step TEXT           what follows belongs together; its time is printed; … TEXT goes on with the one before
//	repeat N … end      so often; of each step the least, middle and most time
//	plug ID DRIVER K=V… device_add      unplug ID      device_del, and it is gone
//	port ID N           a free end of the hub N, for a network card to be plugged into
//	cable ID on|off     set_link of a network card
//	stick ID NAME       blockdev-add of the file NAME
//	do SHELL            in the machine; must succeed. Its words: guest/etc/vm/words
//	fails SHELL         must not
//	within N SHELL      succeeds within N seconds
//	never N SHELL       does not in N seconds
//	daemon              hotsvc is started, and has listed the hardware
//	up|down|… N SVC     hsctl --json status says so within N seconds; absent: it knows no such service
//	same SVC            its process is the one of the last up (other SVC: it is not)
//	reason SVC TEXT     hsctl --json why says TEXT somewhere
//	order A B…          these transitions SVC:STATE came since the step began, in this order
//	save NAME | equal NAME   the end state: services, links, addresses
//	transcript          writes what was seen and how long it took
type scenario struct {
	file, title string
	machine     []string
	lines       []line
}

type line struct {
	at   int
	verb string
	rest string
	body []line // of repeat
}

// verbs: how many words must follow at least.
var verbs = map[string]int{"step": 1, "plug": 2, "unplug": 1, "port": 2, "cable": 2, "stick": 2, "do": 1, "fails": 1, "within": 2, "never": 2,
	"daemon": 0, "same": 1, "other": 1, "reason": 2, "order": 2, "save": 1, "equal": 1, "transcript": 0}

var states = []string{"up", "down", "waiting", "starting", "stopping", "backoff", "failed", "stuck", "absent"}

func read(file string) (scenario, error) {
	s := scenario{file: file}
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	var outer []line // what stands before a repeat
	inside := false
	for i, raw := range strings.Split(string(text), "\n") {
		raw = strings.TrimSpace(raw)
		verb, rest, _ := strings.Cut(raw, " ")
		l := line{at: i + 1, verb: verb, rest: strings.TrimSpace(rest)}
		bad := func(why string) error { return fmt.Errorf("%s:%d: %s: %s", file, i+1, raw, why) }
		words := len(strings.Fields(l.rest))
		least, known := verbs[verb]
		switch {
		case raw == "":
		case strings.HasPrefix(raw, "#"):
			if s.title == "" {
				s.title = strings.TrimSpace(raw[1:])
			}
		case verb == "machine":
			s.machine = append(s.machine, strings.Fields(rest)...)
		case verb == "repeat":
			if _, err := strconv.Atoi(l.rest); err != nil || inside {
				return s, bad("a number, and no other repeat inside")
			}
			outer, s.lines, inside = append(s.lines, l), nil, true
		case verb == "end":
			if !inside {
				return s, bad("no repeat")
			}
			outer[len(outer)-1].body, inside = s.lines, false
			s.lines = outer
		case slices.Contains(states, verb) && words != 2, known && words < least:
			return s, bad("words are missing")
		case slices.Contains(states, verb), known:
			s.lines = append(s.lines, l)
		default:
			return s, bad("no such verb")
		}
	}
	if inside {
		return s, fmt.Errorf("%s: repeat without end", file)
	}
	return s, nil
}
