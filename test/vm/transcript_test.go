package vm_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// moment is one thing that was seen while the radio was there.
type moment struct {
	at        time.Time
	who, what string
}

var (
	kernelLink = regexp.MustCompile(`^\[(\S+)\]\s*\d+: wlan0: <(\S*)>.* state (\S+)`)
	kernelAddr = regexp.MustCompile(`^\[(\S+)\]\s*\d+: wlan0\s+inet (\S+) .*scope global`)
	kernelGone = regexp.MustCompile(`^\[(\S+)\]\s*Deleted \d+: wlan0: <`)
)

// kernel reads what `ip -ts monitor` wrote of wlan0: of its links only what
// changed.
func kernel(text string) (seen []moment) {
	last := ""
	add := func(at, what string) {
		if t, err := time.Parse("2006-01-02T15:04:05.999999", at); err == nil && what != last {
			seen = append(seen, moment{t, "kernel", what})
			last = what
		}
	}
	for line := range strings.Lines(text) {
		if m := kernelGone.FindStringSubmatch(line); m != nil {
			add(m[1], "wlan0 is gone")
		} else if m := kernelLink.FindStringSubmatch(line); m != nil {
			carrier := ""
			if slices.Contains(strings.Split(m[2], ","), "LOWER_UP") {
				carrier = ", carrier"
			}
			add(m[1], "wlan0 is "+m[3]+carrier)
		} else if m := kernelAddr.FindStringSubmatch(line); m != nil {
			add(m[1], "wlan0 has the address "+m[2])
		}
	}
	return seen
}

// transcript writes what was seen from the first plugging in to the first
// pulling out, and how long both ways took.
func (p *player) transcript() error {
	var all []moment
	radio, err := p.shell("cat /run/radio.log", 10*time.Second)
	if err != nil {
		return err
	}
	for line := range strings.Lines(radio) {
		when, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := time.Parse(time.RFC3339Nano, when)
		if err != nil {
			return err
		}
		all = append(all, moment{at, "hand", "the radio is " + map[string]string{"plug": "plugged in", "pull": "pulled out"}[what]})
	}
	if len(all) < 3 {
		return fmt.Errorf("only %d plugs and pulls", len(all))
	}
	begin, end := all[0].at, all[2].at // the second time it is plugged in
	text, err := p.shell("cat /run/kernel.log", 10*time.Second)
	if err != nil {
		return err
	}
	all = append(all, kernel(text)...)
	changes, err := p.changes(0)
	if err != nil {
		return err
	}
	for _, c := range changes {
		all = append(all, moment{c.At, "hotsvc", fmt.Sprintf("%s: %s → %s (%s)", c.Service, c.From, c.To, c.Reason)})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })

	var b strings.Builder
	fmt.Fprintf(&b, `# A radio, an access point, a lease

Made by `+"`UPDATE=1 make test-vm`"+` from its first scenario; do not edit. Kernel %s in qemu (%s: every
instruction is emulated, so hardware is faster), mac80211_hwsim, hostapd and wpa_supplicant 2.10, busybox udhcpc. The
rules and services are those that hotsvc ships.

## One time

Seconds since the radio was plugged in.

`+"```text\n", os.Getenv("VM_VERSION"), accel())
	for _, m := range all {
		if !m.at.Before(begin) && m.at.Before(end) {
			fmt.Fprintf(&b, "%7.3f  %-6s  %s\n", m.at.Sub(begin).Seconds(), m.who, m.what)
		}
	}
	b.WriteString("```\n\n## Beside the same two programs started by hand\n\nMiddle, least and most of all times; the shell that asks looks 20 times a second.\n\n" +
		"| what | seconds |\n|---|---|\n")
	for _, r := range p.table {
		fmt.Fprintf(&b, "| %s, %d times | **%.2f** (%.2f to %.2f) |\n", r.step, r.times, r.middle, r.least, r.most)
	}
	b.WriteString("\nBy hand, the supplicant and udhcpc are started at once when the link is there. hotsvc starts udhcpc when there is a\n" +
		"network to ask in, so that no question is lost and none has to be asked again.\n")
	return os.WriteFile(os.Getenv("VM_TRANSCRIPT"), []byte(b.String()), 0o644)
}
