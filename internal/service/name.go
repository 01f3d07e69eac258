package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"hotsvc/internal/match"
)

// Split takes a service's name apart at the first @: the name of its definition
// and the instance, "dhcp@" and "wan0". A name without @ is its own definition.
func Split(name string) (template, instance string) {
	if i := strings.IndexByte(name, '@'); i >= 0 {
		return name[:i+1], name[i+1:]
	}
	return name, ""
}

// BuiltIn is where the definitions that come with hotsvc stand, to people.
const BuiltIn = "built-in/"

// OnDemand tells whether a service is there only while something refers to it:
// the instances of a template, and what came with hotsvc.
func (d *Definition) OnDemand() bool {
	return IsTemplate(d.Name) || strings.HasPrefix(d.Pos.File, BuiltIn)
}

// IsTemplate tells whether a definition's name is that of a template.
func IsTemplate(name string) bool { return strings.HasSuffix(name, "@") }

// maxFileName leaves room for an ending within the 255 bytes of a file's name.
const maxFileName = 230

// CheckName says what is wrong with the name of a service that somebody typed,
// or "". An instance may be any printable text: getty@/dev/tty0.
func CheckName(name string) string {
	template, instance := Split(name)
	if wrong := checkDefinitionName(template); wrong != "" {
		return wrong
	}
	switch {
	case len(FileName(name)) > maxFileName:
		return fmt.Sprintf("%.20s… is too long: files are named after it, and %d bytes are all they have", name, maxFileName)
	case !utf8.ValidString(instance) || strings.ContainsFunc(instance, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Sprintf("%q: an instance name is printable text", name)
	case IsTemplate(template) && instance == "":
		return fmt.Sprintf("%s: which instance?", name)
	}
	return ""
}

func checkDefinitionName(name string) string {
	base, rest, _ := strings.Cut(name, "@")
	if len(name) > maxTemplate {
		return fmt.Sprintf("%.20s… is longer than %d bytes", name, maxTemplate)
	}
	if rest != "" {
		return fmt.Sprintf("%q names one instance: define the template %q", name, base+"@")
	}
	if base == "" || strings.Trim(base, nameBytes) != "" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "-") {
		return fmt.Sprintf("%q is no name of a service: use letters, digits and _ . : + - only", name)
	}
	return ""
}

// maxTemplate and the 64 bytes of an instance made of words fit maxFileName.
const maxTemplate = 128

const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+-"

// FileName is the name of a service as a file is named after it: anything but
// letters, digits and _ . : + = @ - is percent-encoded, and so is a dot in front.
func FileName(service string) string {
	var b strings.Builder
	for i := 0; i < len(service); i++ {
		c := service[i]
		if strings.IndexByte(nameBytes+"=@", c) < 0 || c == '.' && i == 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// FromFileName is the service that FileName made the file's name from; ok is
// false for a name that it never makes.
func FromFileName(file string) (service string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(file); i++ {
		if file[i] != '%' {
			b.WriteByte(file[i])
			continue
		}
		if i+3 > len(file) {
			return "", false
		}
		c, err := strconv.ParseUint(file[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	service = b.String()
	return service, service != "" && FileName(service) == file
}

// ReplaceWords puts words in the places of {word} in every text. {{ stands for a
// brace; ${WORD} is left for a shell. A word that word does not know is an error,
// which does not show the text: it may be a secret.
func ReplaceWords(args []string, word func(string) (string, bool)) ([]string, error) {
	out := make([]string, len(args))
	for i, rest := range args {
		for {
			before, name, after, ok := match.CutRef(rest)
			out[i] += before
			if !ok {
				break
			}
			value, known := word(name)
			if !known {
				return nil, fmt.Errorf("%q: there is no word %q here; for the brace itself write {{", "{"+name+"}", name)
			}
			out[i] += value
			rest = after
		}
	}
	return out, nil
}

// NeedsOf lists what an instance needs, {instance} replaced.
func (d *Definition) NeedsOf(instance string) []string { return ofInstance(d.Policy.Needs, instance) }

// WantsOf lists what an instance wants, {instance} replaced.
func (d *Definition) WantsOf(instance string) []string { return ofInstance(d.Policy.Wants, instance) }

// AfterOf lists what an instance starts after, {instance} replaced.
func (d *Definition) AfterOf(instance string) []string { return ofInstance(d.Policy.After, instance) }

func ofInstance(names []string, instance string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ReplaceAll(n, "{instance}", instance)
	}
	return out
}

// Words lists the words of objects that the definition reads: those of its
// gates, and those of the primary object that its commands name.
func (d *Definition) Words() []string {
	var all []string
	for i := range d.Policy.Gates {
		all = append(all, d.Policy.Gates[i].Match.Words()...)
	}
	e := &d.Exec
	texts := slices.Concat(e.Start, e.Pre, e.Stop, e.Post, e.Check, []string{e.Cwd})
	for _, v := range e.Env {
		texts = append(texts, v.Value)
	}
	for _, text := range texts {
		all = append(all, match.Refs(text)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
