package service

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"hotsvc/internal/match"
	"hotsvc/internal/rule"
	"hotsvc/internal/toml"
)

var (
	shellSign = regexp.MustCompile("[|&;<>`]|\\$\\(")
	shellWord = regexp.MustCompile(`^([|&;<>]|&&|\|\||>>|<<|[0-9]?>&[0-9]|[0-9]>>?)$`)
	shellVar  = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?$`)
	shells    = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}
)

// command reads an argv.
func (d *decoder) command(key string, to *[]string) {
	k := d.Key(key)
	if k == nil {
		return
	}
	if v := k.Value; v.Kind == toml.Text {
		d.Problems.Errorf(v.Pos, "%s is a list, one word each, no shell: write %s", key, toml.QuoteAll(splitWords(v.Text)))
		return
	}
	argv, ok := d.List(k)
	switch {
	case !ok:
		return
	case len(argv) == 0 || argv[0] == "":
		d.Problems.Errorf(k.Value.Pos, "%s names no program", key)
		return
	}
	if strings.Contains(argv[0], "/") && !path.IsAbs(argv[0]) && !strings.HasPrefix(argv[0], "{") {
		d.Problems.Errorf(k.Value.List[0].Pos, "%s: %s is neither an absolute path nor a name to look up in PATH", key, toml.Quote(argv[0]))
	}
	*to = argv
	if len(match.Refs(argv[0])) == 0 {
		d.outside(key, k.Value.List[0])
	}
	if !slices.Contains(shells, path.Base(argv[0])) {
		for _, v := range k.Value.List {
			if shellWord.MatchString(v.Text) {
				d.Problems.Errorf(v.Pos, "%s: no shell reads this: write %s", key, toml.QuoteAll([]string{"sh", "-c", strings.Join(argv, " ")}))
				return
			}
		}
		if strings.Contains(argv[0], " ") {
			d.Problems.Errorf(k.Value.List[0].Pos, "%s: %s is one word: write %s", key, toml.Quote(argv[0]),
				toml.QuoteAll(append(splitWords(argv[0]), argv[1:]...)))
			return
		}
	}
	for _, v := range k.Value.List {
		if strings.ContainsRune(v.Text, 0) {
			d.Problems.Errorf(v.Pos, "%s: an argument cannot hold a zero byte", key)
		}
		if wrong := d.checkWords(v.Text); wrong != "" {
			d.Problems.Errorf(v.Pos, "%s: %s", key, wrong)
		}
		if m := shellVar.FindStringSubmatch(v.Text); m != nil {
			d.Problems.Warnf(v.Pos, "%s: no shell replaces %s: write [\"sh\", \"-c\", \"…\"], or {%s} for a word of the object", key, v.Text, m[1])
		}
		if v.Text == "%i" || v.Text == "%I" {
			d.Problems.Warnf(v.Pos, "%s: %s means nothing here: write {instance}", key, v.Text)
		}
	}
}

// outside notes what a key names on the system.
func (d *decoder) outside(key string, names ...*toml.Value) {
	for _, v := range names {
		if v.Kind != toml.Text || v.Text == "" {
			continue
		}
		d.def.Outside = append(d.def.Outside, Ref{key, v.Text, v.Pos})
	}
}

// splitWords makes an argv of what somebody wrote as one text.
func splitWords(text string) []string {
	if shellSign.MatchString(text) {
		return []string{"sh", "-c", text}
	}
	return strings.Fields(text)
}

// checkWords says which {word} in a text no object can have, or "". It does not
// show the text, which may be a secret.
func (d *decoder) checkWords(text string) string {
	for _, word := range match.Refs(text) {
		switch {
		case word == "instance" && IsTemplate(d.def.Name):
		case word == "instance":
			return fmt.Sprintf("%q: %s is no template, so it has no instance", "{instance}", d.def.Name)
		case !rule.IsWord(word):
			return fmt.Sprintf("%s: %s (for the brace itself write {{)", toml.Quote("{"+word+"}"), rule.NoRef(word))
		}
	}
	return ""
}

// background lists programs that leave the foreground: with an option, or
// without one.
var background = []struct {
	program string
	drop    string // the option that sends it there
	add     []string
}{
	{program: "wpa_supplicant", drop: "B"},
	{program: "hostapd", drop: "B"},
	{program: "udhcpc", drop: "b", add: []string{"-f", "--foreground"}},
	{program: "udhcpd", add: []string{"-f"}},
	{program: "dhcpcd", drop: "b", add: []string{"-B", "--nobackground"}},
	{program: "dhclient", add: []string{"-d"}},
	{program: "dnsmasq", add: []string{"-k", "--keep-in-foreground", "-d", "--no-daemon"}},
	{program: "sshd", add: []string{"-D", "-d"}},
	{program: "zcip", add: []string{"-f"}},
	{program: "crond", add: []string{"-f", "-n"}},
}

// warnBackground speaks of daemons that would slip out of supervision.
func (d *decoder) warnBackground(argv []string) {
	if len(argv) > 1 && path.Base(argv[0]) == "busybox" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return
	}
	pos := d.Table.Get("exec_start").Value.Pos
	for _, b := range background {
		if path.Base(argv[0]) != b.program {
			continue
		}
		for _, arg := range argv[1:] {
			if b.drop != "" && regexp.MustCompile(`^-[a-zA-Z]?`+b.drop+`[a-zA-Z]?$`).MatchString(arg) {
				d.Problems.Warnf(pos, "exec_start: %s %s goes to the background, where nobody watches it: leave -%s out", b.program, arg, b.drop)
				return
			}
		}
		stays := func(arg string) bool {
			return slices.ContainsFunc(b.add, func(a string) bool {
				short := len(a) == 2 && regexp.MustCompile(`^-[a-zA-Z]*`+a[1:]+`[a-zA-Z]*$`).MatchString(arg)
				return arg == a || short
			})
		}
		if b.add != nil && !slices.ContainsFunc(argv[1:], stays) {
			d.Problems.Warnf(pos, "exec_start: %s goes to the background, where nobody watches it: add %s", b.program, b.add[0])
		}
	}
}
