package rule

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// Parse reads a rule file. damping is that of rules that say nothing of it; nil
// is off. The rules are complete only if none of the problems is an error.
func Parse(file string, data []byte, damping *Damping) ([]Rule, []toml.Problem) {
	root, problems := toml.Parse(file, data)
	var p toml.Problems
	p.Add(problems...)
	d := toml.Decode(root, "a rule file", &p)
	var rules []Rule
	for _, t := range d.Subs("rule") {
		rules = append(rules, parseRule(t, damping, &p))
	}
	if k := d.Key("rules"); k != nil {
		p.Errorf(k.Pos, "write [[rule]], not [[rules]]")
	}
	for _, k := range root.Keys {
		if slices.Contains(ruleKeys, k.Name) {
			p.Errorf(k.Pos, "%s belongs to a rule: write [[rule]] in a line above it", k.Name)
			d.Key(k.Name)
		}
	}
	d.Done()
	return rules, p.Sorted()
}

var ruleKeys = []string{"name", "object", "match", "while", "unless", "require"}

func parseRule(t *toml.Table, damping *Damping, p *toml.Problems) Rule {
	d := toml.Decode(t, "a rule", p)
	r := Rule{Pos: t.Pos, Damping: damping}
	if d.Text("name", &r.Name); t.Get("name") == nil {
		d.Missing("name", `"wired-dhcp"`)
	} else if r.Name != "" {
		checkName(t.Get("name"), p)
	}
	r.Object = KindOf(d)
	subject := r.Object
	if subject == "" {
		subject = unsure
	}
	if m := d.Sub("match"); m != nil {
		if r.Object != "" {
			r.Match = Condition(r.Object, "", m, p)
		}
		if len(m.Keys) == 0 && !m.Broken {
			p.Warnf(t.Get("match").Value.Pos, "match = {} is true of every %s there is", r.Object)
		}
	} else if t.Get("match") == nil {
		d.Missing("match", "{ … }")
	}
	r.While = others(d, "while", subject)
	r.Unless = others(d, "unless", subject)
	d.Bool("claim", &r.Claim)
	requires(d, &r)
	d.Time("settle", &r.Settle)
	d.Time("linger", &r.Linger)
	r.LingerGone = defaultLingerGone(r.Object)
	d.Time("linger_gone", &r.LingerGone)
	bounce(d, &r)
	if d.Bool("link_up", &r.LinkUp); r.LinkUp && r.Object != object.Link && r.Object != "" {
		p.Errorf(t.Get("link_up").Pos, "link_up is for links: %s cannot be set up", article(r.Object))
	}
	if k := d.Key("damping"); k != nil {
		if got, ok := ParseDamping(k, p); ok {
			r.Damping = got
		}
	}
	for _, k := range t.Keys {
		if _, wrong := lookup(cmp.Or(r.Object, object.Device), k.Name); deviceWord.MatchString(k.Name) {
			d.Key(k.Name)
			p.Errorf(k.Pos, "%s", cmp.Or(wrong, fmt.Sprintf("%s is a word: write it inside match = { %s = … }", k.Name, k.Name)))
		}
	}
	d.Done()
	return r
}

var ruleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+-]*$`)

func checkName(k *toml.Key, p *toml.Problems) {
	if k.Value.Kind == toml.Text && !ruleName.MatchString(k.Value.Text) {
		p.Errorf(k.Value.Pos, "name: %s: write letters, digits and _ . : + - only", toml.Quote(k.Value.Text))
	}
}

// Names that other programs have for the kinds of objects.
var kindAliases = map[string]object.Kind{
	"net": object.Link, "network": object.Link, "interface": object.Link, "netdev": object.Link, "iface": object.Link,
	"dev": object.Device, "usb": object.Device, "block": object.Device, "tty": object.Device, "uevent": object.Device,
	"filesystem": object.Mount, "fs": object.Mount, "mountpoint": object.Mount, "time": object.Clock,
}

// KindOf reads the key object; "" if it is not there or wrong.
func KindOf(d *toml.Decoder) object.Kind {
	k := d.Key("object")
	if k == nil {
		d.Missing("object", `"link"`)
		return ""
	}
	if !d.IsText("object", k.Value) {
		return ""
	}
	choices := make([]string, len(object.Kinds))
	for i, kind := range object.Kinds {
		if k.Value.Text == string(kind) {
			return kind
		}
		choices[i] = string(kind)
	}
	hint := toml.DidYouMean(k.Value.Text, choices)
	if alias := kindAliases[strings.ToLower(k.Value.Text)]; alias != "" {
		hint = "; did you mean " + string(alias) + "?"
	}
	d.Problems.Errorf(k.Value.Pos, "object is %s, not %q%s", toml.Or(choices), k.Value.Text, hint)
	return ""
}

// others reads while and unless: conditions on other objects.
func others(d *toml.Decoder, key string, subject object.Kind) []Other {
	var all []Other
	for _, t := range d.Subs(key) {
		sub := toml.Decode(t, "each of "+key, d.Problems)
		o := Other{Object: KindOf(sub)}
		if m := sub.Sub("match"); m != nil && o.Object != "" {
			o.Match = Condition(o.Object, subject, m, d.Problems)
		} else if t.Get("match") == nil {
			sub.Missing("match", "{ … }")
		}
		sub.Done()
		all = append(all, o)
	}
	return all
}

func bounce(d *toml.Decoder, r *Rule) {
	var on string
	if d.Text("on_bounce", &on); on != "" {
		k := d.Table.Get("on_bounce")
		name, isSignal := strings.CutPrefix(on, "signal:")
		signal, known := Signal(name)
		switch {
		case on == "ignore":
		case on == "restart":
			r.OnBounce.Restart = true
		case isSignal && known:
			r.OnBounce.Signal = signal
		case isSignal:
			d.Problems.Errorf(k.Value.Pos, "on_bounce: there is no signal %q%s", name, toml.DidYouMean(name, signals))
		default:
			d.Problems.Errorf(k.Value.Pos, `on_bounce is "ignore", "restart" or "signal:USR1", not %q%s`, on, toml.DidYouMean(on, []string{"ignore", "restart"}))
		}
	}
	d.Texts("bounce_on", &r.BounceOn)
	if k := d.Table.Get("bounce_on"); k != nil && r.Object != "" {
		for _, v := range k.Value.List {
			if _, wrong := lookup(r.Object, v.Text); v.Kind == toml.Text && wrong != "" {
				d.Problems.Errorf(v.Pos, "%s", wrong)
			}
		}
	}
}

// ParseDamping reads the value of a key damping: a table, or false for off.
func ParseDamping(k *toml.Key, p *toml.Problems) (*Damping, bool) {
	v := k.Value
	switch {
	case v.Kind == toml.Bool && !v.Bool:
		return nil, true
	case v.Kind == toml.Bool:
		on := DefaultDamping
		return &on, true
	case v.Kind != toml.Nested:
		p.Errorf(v.Pos, "damping is a table, or false for off: write damping = { suppress = 5 }, not %s", v.Kind)
		return nil, false
	}
	got := DefaultDamping
	d := toml.Decode(v.Table, "damping", p)
	d.Prefix = "damping."
	d.Time("half_life", &got.HalfLife)
	d.Int("suppress", &got.Suppress, 2, 1000)
	d.Int("reuse", &got.Reuse, 1, 999)
	d.Time("max", &got.Max)
	d.Done()
	switch {
	case got.HalfLife <= 0:
		p.Errorf(v.Pos, `damping: half_life must be more than nothing: write damping = false for off`)
	case got.Reuse >= got.Suppress:
		p.Errorf(v.Pos, "damping: reuse (%d) must be less than suppress (%d)", got.Reuse, got.Suppress)
	case got.Max < got.HalfLife:
		p.Errorf(v.Pos, "damping: max (%s) must not be less than half_life (%s)", got.Max, got.HalfLife)
	case got.ceiling() < got.Suppress:
		p.Errorf(v.Pos, "damping: within max (%s) the penalty cannot reach suppress (%d): it is bounded at %d, so that it decays to reuse in that time",
			got.Max, got.Suppress, got.ceiling())
	default:
		return &got, true
	}
	return nil, false
}

// ceiling is the most that a penalty can be, so that it decays to Reuse in Max.
func (d *Damping) ceiling() int {
	c := d.Reuse
	for t := d.HalfLife; t <= d.Max && c < d.Suppress; t += d.HalfLife {
		c *= 2
	}
	return c
}
