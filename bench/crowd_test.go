package bench

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

const crowdSize = 1000

// crowd measures how long it takes until a thousand services run, from one
// plug, beside a loop that starts the same program as often; and what each
// costs.
func crowd() ([]row, error) {
	c, err := newCable("cable1")
	if err != nil {
		return nil, err
	}
	e, err := newEar("crowd")
	if err != nil {
		return nil, err
	}
	stamp := filepath.Join(*tools, "stamp")
	rule := "[[rule]]\nname = \"crowd\"\nobject = \"link\"\nmatch = { name = \"cable1\", running = true }\ndamping = false\nrequire = [\n"
	files := map[string]string{}
	for i := range crowdSize {
		rule += fmt.Sprintf("\"sleeper%d\",\n", i)
		files[fmt.Sprintf("services/sleeper%d.toml", i)] = fmt.Sprintf("exec_start = [%q, %q]\n", stamp, e.path)
	}
	files["rules/crowd.toml"] = rule + "]\n"
	d, err := startDaemon("crowd.d", files)
	if err != nil {
		return nil, err
	}
	defer d.end()
	time.Sleep(3 * time.Second)
	before, threads := d.pss(), d.threads()
	var ours, theirs, each sample
	for range *crowds {
		began, err := c.plug()
		if err != nil {
			return nil, err
		}
		last, pids, err := e.hear(crowdSize)
		if err != nil {
			return nil, fmt.Errorf("hotsvc: %w: %s", err, d.lastWords())
		}
		ours = append(ours, float64(last-began)/1e6)
		time.Sleep(5 * time.Second) // what follows a burst is over
		each = append(each, (d.pss()-before)/crowdSize)
		if err := c.pull(); err != nil {
			return nil, err
		}
		if err := gone(pids); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
		b, err := loopOnce(e, stamp)
		if err != nil {
			return nil, fmt.Errorf("loop: %w", err)
		}
		theirs = append(theirs, b)
	}
	return []row{
		beside("1 000 services, from one plug until all run", ours, theirs, "ms", 2),
		within("  PSS of the daemon, for each", each, "kB", 10),
		told("  threads before, after", fmt.Sprintf("%g, %g", threads, d.threads())),
	}, nil
}

func loopOnce(e *ear, stamp string) (float64, error) {
	h, err := startHelper("crowd", strconv.Itoa(crowdSize), stamp, e.path)
	if err != nil {
		return 0, err
	}
	defer h.end()
	time.Sleep(quiet)
	began := clock()
	if _, err := h.in.Write([]byte{'\n'}); err != nil {
		return 0, err
	}
	last, _, err := e.hear(crowdSize)
	return float64(last-began) / 1e6, err
}
