package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/status"
)

func (a *app) objectsCommand() *cobra.Command {
	var match string
	var verbose bool
	var kinds []string
	for _, k := range object.Kinds {
		kinds = append(kinds, string(k))
	}
	c := &cobra.Command{
		Use:   "objects [KIND] [NAME…]",
		Short: "What the system has now: devices, links, mounts, the clock",
		Long: `Lists what rules can match, with the services that each thing holds. KIND is
device, link, mount or clock. With a name, or -v, prints every word of it as a rule
would have to match it. --match takes a table as a rule's match has it, so that a
rule can be tried before it is written.`,
		Example: `  hsctl objects link
  hsctl objects wan0
  hsctl objects device -v --match '{ SUBSYSTEM = "tty", ID_VENDOR_ID = "0403" }'
  hsctl objects link --match '{ physical = true, running = true }'`,
		ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			p := control.Params{Match: match}
			if len(args) > 0 && slices.Contains(kinds, args[0]) {
				p.Kind, args = args[0], args[1:]
			}
			return a.objects(p, args, verbose)
		},
	}
	c.Flags().StringVar(&match, "match", "", "only what this `TABLE` in TOML matches")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "with all words of each")
	return c
}

func (a *app) objects(p control.Params, names []string, verbose bool) error {
	var objects []status.Object
	if err := a.ask(engine.VerbObjects, p, &objects); err != nil {
		return err
	}
	missing := slices.Clone(names)
	if len(names) > 0 {
		objects = slices.DeleteFunc(objects, func(o status.Object) bool {
			called := []string{o.Name, o.Key, o.Key + ":" + o.Name}
			missing = slices.DeleteFunc(missing, func(name string) bool { return slices.Contains(called, name) })
			return !slices.ContainsFunc(called, func(name string) bool { return slices.Contains(names, name) })
		})
	}
	switch {
	case a.json:
		if err := a.printJSON(objects); err != nil {
			return err
		}
	case len(objects) == 0 && len(names) == 0:
		fmt.Fprintln(a.out, "nothing is like that now")
	case verbose || len(names) > 0:
		for i := range objects {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			a.printWords(&objects[i])
		}
	default:
		a.printObjects(objects)
	}
	if len(missing) > 0 {
		return &control.Error{Code: engine.CodeNo, Text: "no object " + list(missing) +
			": `hsctl objects` lists what there is, of all kinds or of one: device, link, mount, clock"}
	}
	return nil
}

// column is what a table of objects has below a heading.
type column struct {
	head string
	text func(*status.Object) string
}

// columns are the words of each kind that matter most.
var columns = map[object.Kind][]column{
	object.Link: {{"LINK", objectName}, {"TYPE", linkType}, {"STATE", linkState}, {"ADDRESS", word("address4", "address6")}, {"HOLDS", holds}},
	object.Device: {{"DEVICE", objectName}, {"SUBSYSTEM", word("SUBSYSTEM")}, {"DRIVER", word("DRIVER")}, {"HOLDS", holds},
		{"PATH", func(o *status.Object) string { return strings.TrimPrefix(o.Key, "device:") }}},
	object.Mount: {{"MOUNT", objectName}, {"FSTYPE", word("fstype")}, {"SOURCE", word("source")}, {"HOLDS", holds}},
	object.Clock: {{"CLOCK", objectName}, {"SYNCHRONIZED", word("synchronized")}, {"HOLDS", holds}},
}

func objectName(o *status.Object) string { return o.Name }
func holds(o *status.Object) string      { return list(o.Holds) }

// word is the values of words, "?" for one that is not known yet.
func word(names ...string) func(*status.Object) string {
	return func(o *status.Object) string {
		var all []string
		for _, name := range names {
			values, known := o.Words[name]
			if known && values == nil {
				values = []string{"?"}
			}
			all = append(all, values...)
		}
		return strings.Join(all, " ")
	}
}

// linkType is what a link is, in words of rules.
func linkType(o *status.Object) string {
	text := word("type", "kind")(o)
	if is(o, "wireless") {
		text += " wireless"
	}
	return text
}

// linkState is how far up a link is, and who else has it, in words of rules.
func linkState(o *status.Object) string {
	text := "down"
	switch {
	case is(o, "running"):
		text = "running"
	case is(o, "dormant"):
		text = "dormant"
	case is(o, "carrier"):
		text = "carrier"
	case is(o, "up"):
		text = "up, no carrier"
	}
	if is(o, "foreign") {
		text += ", foreign"
	}
	if master := word("master")(o); master != "" {
		text += ", master " + master
	}
	return text
}

func is(o *status.Object, name string) bool { return slices.Equal(o.Words[name], object.Bool(true)) }

// printObjects prints a table for each kind.
func (a *app) printObjects(objects []status.Object) {
	before := ""
	var head []string
	var rows [][]cell
	for _, o := range objects {
		kind, _, _ := strings.Cut(o.Key, ":")
		if kind != before && before != "" {
			a.table(head, rows)
			fmt.Fprintln(a.out)
		}
		if kind != before {
			before, head, rows = kind, nil, nil
			for _, c := range columns[object.Kind(kind)] {
				head = append(head, c.head)
			}
		}
		var row []cell
		for _, c := range columns[object.Kind(kind)] {
			row = append(row, cell{cmp.Or(c.text(&o), "-"), plain})
		}
		rows = append(rows, row)
	}
	a.table(head, rows)
}

// printWords prints an object as a rule would have to match it.
func (a *app) printWords(o *status.Object) {
	fmt.Fprintf(a.out, "%s (%s), here since %s, last event: %s\n", a.paint(bold, clean(o.Name)), clean(o.Key), a.when(o.Since), clean(o.Cause))
	for _, name := range slices.Sorted(maps.Keys(o.Words)) {
		values := make([]string, len(o.Words[name]))
		for i, v := range o.Words[name] {
			values[i] = v
			if v != "true" && v != "false" {
				values[i] = strconv.Quote(v)
			}
		}
		text := strings.Join(values, ", ")
		switch {
		case o.Words[name] == nil:
			text = "(not known yet)"
		case len(values) != 1:
			text = "[" + text + "]"
		}
		if strings.ContainsAny(name, "{}") {
			name = strconv.Quote(name) // as TOML wants it
		}
		fmt.Fprintf(a.out, "  %s = %s\n", clean(name), text)
	}
	if len(o.Holds) > 0 {
		fmt.Fprintf(a.out, "  holds %s\n", clean(list(o.Holds)))
	}
}

func (a *app) rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rules",
		Short: "The rules, what they match now, and what they hold",
		Long: `Lists every rule in the order in which it counts, with the objects that its own
condition matches, or did until a linger began, and the services that it holds
through each, or why none, or for how long.`,
		Example: `  hsctl rules
  hsctl rules --json | jq '.[] | select(.matches == [])'`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := show(a, engine.VerbRules, control.Params{}, a.printRules)
			return err
		},
	}
}

func (a *app) printRules(rules []status.Rule) {
	if len(rules) == 0 {
		fmt.Fprintln(a.out, "no rules: put one in /etc/hotsvc/rules.d")
	}
	for _, r := range rules {
		effect := "is claimed: later rules do not get it"
		if len(r.Require) > 0 {
			effect = "requires " + list(r.Require)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", a.paint(bold, clean(r.Name)), clean(r.Where))
		fmt.Fprintf(a.out, "  %s %s %s\n", r.Object, clean(r.Match), clean(effect))
		for _, m := range r.Matches {
			switch {
			case m.Problem != nil && len(m.Holds) == 0:
				fmt.Fprintf(a.out, "    %s holds nothing: %s\n", clean(m.Object), a.paint(yellow, clean(*m.Problem)))
			case m.Problem != nil:
				fmt.Fprintf(a.out, "    %s holds %s (%s)\n", clean(m.Object), clean(list(m.Holds)), a.paint(yellow, clean(*m.Problem)))
			case len(m.Holds) == 0:
				fmt.Fprintf(a.out, "    %s\n", clean(m.Object))
			default:
				fmt.Fprintf(a.out, "    %s holds %s\n", clean(m.Object), clean(list(m.Holds)))
			}
		}
		if len(r.Matches) == 0 {
			fmt.Fprintln(a.out, a.paint(dim, "    matches nothing now"))
		}
	}
}
