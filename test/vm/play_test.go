package vm_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/status"
)

// player plays a scenario on a machine.
type player struct {
	*machine
	step   string
	start  time.Time
	took   map[string][]float64 // seconds of each step, inside repeat
	mark   int                  // lines of the monitor's log when the step began
	pids   map[string]int
	saved  map[string]string
	nested bool
	table  []row // of all steps that were repeated
}

// row is how long a repeated step took.
type row struct {
	step                string
	times               int
	middle, least, most float64
}

func (s scenario) play(dir string) error {
	start := time.Now()
	m, err := boot(dir, s.machine...)
	if err != nil {
		return err
	}
	defer m.halt()
	fmt.Printf("  %6.2f s  boot\n", time.Since(start).Seconds())
	p := &player{machine: m, start: time.Now(), took: map[string][]float64{}, pids: map[string]int{}, saved: map[string]string{}}
	at, err := p.all(s.lines)
	p.done()
	if err == nil {
		return nil
	}
	// What a person would ask next.
	for _, ask := range []string{"hsctl status", "for s in $(hsctl status | sed -n 's/^\\([a-z]*@[^ ]*\\).*/\\1/p'); do hsctl why $s; hsctl status $s; done", "hsctl rules", "ip addr", "ps -o pid,args | grep -v '\\[' | tail -n 30", "tail -n 40 /run/hotsvc.log", "tail -n 20 /run/monitor.log",
		"for f in /var/log/hotsvc/*/current; do echo \"== $f\"; tail -n 5 \"$f\"; done", "for f in /run/dhcpd*.log /run/hostapd.log; do echo \"== $f\"; tail -n 5 \"$f\"; done", "dmesg | tail -n 15"} {
		out, _ := m.shell(ask, 20*time.Second)
		fmt.Printf("  --- %s\n    %s\n", ask, strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n    "))
	}
	return fmt.Errorf("%s:%d: %s %s: %w", s.file, at.at, at.verb, at.rest, err)
}

// all plays lines, and returns the one that failed.
func (p *player) all(lines []line) (line, error) {
	for _, l := range lines {
		if l.verb == "repeat" {
			if at, err := p.repeat(l); err != nil {
				return at, err
			}
			continue
		}
		if err := p.one(l); err != nil {
			return l, err
		}
	}
	return line{}, nil
}

func (p *player) repeat(l line) (line, error) {
	n, _ := strconv.Atoi(l.rest)
	p.done()
	p.nested = true
	clear(p.took)
	defer func() { p.nested = false }()
	for i := range n {
		if at, err := p.all(l.body); err != nil {
			return at, fmt.Errorf("time %d of %d: %w", i+1, n, err)
		}
		p.done()
	}
	for _, b := range l.body {
		if all := p.took[b.rest]; b.verb == "step" && len(all) > 0 {
			slices.Sort(all)
			r := row{b.rest, len(all), all[len(all)/2], all[0], all[len(all)-1]}
			p.table = append(p.table, r)
			fmt.Printf("  %6.2f s  %s (%d times, from %.2f to %.2f s)\n", r.middle, r.step, r.times, r.least, r.most)
		}
	}
	return line{}, nil
}

// done closes the step that is under way.
func (p *player) done() {
	if p.step == "" {
		return
	}
	took := time.Since(p.start).Seconds()
	if p.nested {
		p.took[p.step] = append(p.took[p.step], took)
	} else {
		fmt.Printf("  %6.2f s  %s\n", took, p.step)
	}
	p.step = ""
}

func (p *player) one(l line) error {
	words := strings.Fields(l.rest)
	switch l.verb {
	case "step":
		p.done()
		var err error
		if !strings.HasPrefix(l.rest, "…") { // which goes on with the step before
			var all []status.Change
			all, err = p.changes(0)
			p.mark = len(all)
		}
		p.step, p.start = l.rest, time.Now()
		return err
	case "plug":
		args := map[string]any{"id": words[0], "driver": words[1]}
		for _, w := range words[2:] {
			k, v, _ := strings.Cut(w, "=")
			args[k] = v
			if v == "on" || v == "off" {
				args[k] = v == "on"
			}
		}
		_, err := p.control("device_add", args)
		return err
	case "port":
		hub, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		_, err = p.control("netdev_add", map[string]any{"type": "hubport", "id": words[0], "hubid": hub})
		return err
	case "unplug":
		return p.unplug(words[0])
	case "cable":
		_, err := p.control("set_link", map[string]any{"name": words[0], "up": words[1] == "on"})
		return err
	case "stick":
		return p.stick(words[0], words[1])
	case "do":
		return p.run(l.rest, time.Minute)
	case "fails":
		if err := p.run(l.rest, time.Minute); err == nil {
			return fmt.Errorf("it succeeded")
		}
		return nil
	case "within", "never":
		n, err := strconv.Atoi(words[0])
		if err != nil {
			return err
		}
		return p.run(l.verb+" "+l.rest, time.Duration(n+30)*time.Second)
	case "daemon":
		return p.daemon()
	case "same", "other":
		s, err := p.service(words[0])
		if err != nil {
			return err
		}
		if s == nil || s.Pid == nil || (*s.Pid == p.pids[words[0]]) != (l.verb == "same") {
			return fmt.Errorf("it was %d, and is %s", p.pids[words[0]], show(s))
		}
		p.pids[words[0]] = *s.Pid
		return nil
	case "reason":
		out, _ := p.shell("hsctl --json why "+words[0], 20*time.Second) // exit 1: it does not run
		if text := strings.TrimSpace(strings.TrimPrefix(l.rest, words[0])); !strings.Contains(out, text) {
			return fmt.Errorf("it says: %s", out)
		}
		return nil
	case "order":
		return p.order(words)
	case "save":
		state, err := p.state()
		p.saved[words[0]] = state
		return err
	case "equal":
		state, err := p.state()
		if err == nil && state != p.saved[words[0]] {
			err = fmt.Errorf("then:\n%s\nnow:\n%s", p.saved[words[0]], state)
		}
		return err
	case "transcript":
		return p.transcript()
	}
	return p.is(words[1], l.verb, words[0])
}

func (p *player) run(script string, limit time.Duration) error {
	out, err := p.shell(script, limit)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(out))
	}
	return nil
}

// daemon starts hotsvc and what records its transitions, and waits until it
// knows the hardware.
func (p *player) daemon() error {
	// The monitor of the daemon before may still look for the next one.
	if err := p.run("! runs hsctl --json monitor || kill $(pidof hsctl)\nsetsid hotsvc >>/run/hotsvc.log 2>&1 </dev/null &\necho $! >/run/hotsvc.pid\nwithin 10 answers\n"+
		"setsid hsctl --json monitor >>/run/monitor.log 2>/dev/null </dev/null &", 30*time.Second); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		r, err := p.report()
		if err != nil {
			return err
		}
		if len(r.Sources) > 0 && !slices.ContainsFunc(r.Sources, func(s source) bool { return s.State != "synced" && s.State != "absent" }) {
			return nil
		}
	}
	return fmt.Errorf("it does not get to know the hardware")
}

// report is what these tests read of `hsctl --json status`.
type report struct {
	Services []status.Service
	Sources  []source
	Degraded []string
}
type source struct{ Name, State string }

func (p *player) report() (report, error) {
	var r report
	out, err := p.shell("hsctl --json status", 20*time.Second)
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, out)
	}
	return r, json.Unmarshal([]byte(out), &r)
}

// service is nil if the daemon does not have it.
func (p *player) service(name string) (*status.Service, error) {
	r, err := p.report()
	if i := slices.IndexFunc(r.Services, func(s status.Service) bool { return s.Name == name }); i >= 0 {
		return &r.Services[i], err
	}
	return nil, err
}

func show(s *status.Service) string {
	if s == nil {
		return "absent"
	}
	pid := 0
	if s.Pid != nil {
		pid = *s.Pid
	}
	return fmt.Sprintf("%s, pid %d: %s", s.State, pid, s.Reason)
}

// is waits until a service is in a state.
func (p *player) is(name, state, seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Duration(n) * time.Second); ; {
		s, err := p.service(name)
		switch {
		case err != nil:
			return err
		case s == nil && (state == "absent" || state == "down"):
			return nil
		case s != nil && s.State == state:
			if s.Pid != nil {
				p.pids[name] = *s.Pid
			}
			return nil
		case time.Now().After(end):
			return fmt.Errorf("it is %s", show(s))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// changes are the transitions that the monitor has seen, without the first n.
func (p *player) changes(n int) ([]status.Change, error) {
	out, _ := p.shell(fmt.Sprintf("tail -n +%d /run/monitor.log 2>/dev/null", n+1), 20*time.Second)
	var all []status.Change
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var c status.Change
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("the monitor: %w in %s", err, out)
		}
		all = append(all, c)
	}
	return all, nil
}

func (p *player) order(want []string) error {
	all, err := p.changes(p.mark)
	if err != nil {
		return err
	}
	var seen []string
	left := want
	for _, c := range all {
		event := c.Service + ":" + c.To
		seen = append(seen, event)
		if len(left) > 0 && left[0] == event {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%s did not follow in %s", left[0], strings.Join(seen, " "))
	}
	return nil
}

// state is what is to be the same whichever way it was reached: services and
// their holders, links with their state and networks. (A radio of hwsim's has
// another MAC each time, and so another address in its network.)
func (p *player) state() (string, error) {
	r, err := p.report()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range r.Services {
		if s.State == "down" {
			continue
		}
		var holds []string
		for _, h := range s.Holds {
			holds = append(holds, h.Holder)
		}
		fmt.Fprintf(&b, "%s %s %v\n", s.Name, s.State, holds)
	}
	out, err := p.shell(`for l in /sys/class/net/*; do echo "${l##*/} $(cat $l/operstate) $(ip -4 addr show dev ${l##*/} | awk '$1 == "inet" { sub(/[0-9]*\//, "*/", $2); print $2 }')"; done`, 10*time.Second)
	return b.String() + out, err
}
