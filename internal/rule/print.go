package rule

import (
	"fmt"
	"strings"
	"time"

	"hotsvc/internal/toml"
)

// String prints the rule as TOML that Parse reads back, without the keys that
// say what they would say anyway.
func (r *Rule) String() string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	duration := func(key string, d, usual time.Duration) {
		if d != usual {
			line(key, toml.QuoteTime(d))
		}
	}
	b.WriteString("[[rule]]\n")
	line("name", toml.Quote(r.Name))
	line("object", toml.Quote(string(r.Object)))
	line("match", r.Match.String())
	printOthers(line, "while", r.While)
	printOthers(line, "unless", r.Unless)
	line("require", toml.QuoteAll(r.Require))
	duration("settle", r.Settle, 0)
	duration("linger", r.Linger, 0)
	duration("linger_gone", r.LingerGone, defaultLingerGone(r.Object))
	switch {
	case r.OnBounce.Restart:
		line("on_bounce", `"restart"`)
	case r.OnBounce.Signal != "":
		line("on_bounce", toml.Quote("signal:"+r.OnBounce.Signal))
	}
	if len(r.BounceOn) > 0 {
		line("bounce_on", toml.QuoteAll(r.BounceOn))
	}
	if r.LinkUp {
		line("link_up", "true")
	}
	if r.Claim {
		line("claim", "true")
	}
	if r.Damping == nil || *r.Damping != DefaultDamping {
		line("damping", r.Damping.String())
	}
	return b.String()
}

func printOthers(line func(key, value string), key string, others []Other) {
	if len(others) == 0 {
		return
	}
	parts := make([]string, len(others))
	for i, o := range others {
		parts[i] = fmt.Sprintf("{ object = %s, match = %s }", toml.Quote(string(o.Object)), o.Match.String())
	}
	line(key, "["+strings.Join(parts, ", ")+"]")
}

// String prints damping as the value of the key: a table, or false for nil.
func (d *Damping) String() string {
	if d == nil {
		return "false"
	}
	return fmt.Sprintf("{ half_life = %s, suppress = %d, reuse = %d, max = %s }",
		toml.QuoteTime(d.HalfLife), d.Suppress, d.Reuse, toml.QuoteTime(d.Max))
}
