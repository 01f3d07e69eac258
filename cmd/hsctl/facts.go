package main

import (
	"encoding/json"
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
	var words bool
	kinds := make([]string, len(object.Kinds))
	for i, k := range object.Kinds {
		kinds[i] = string(k)
	}
	c := &cobra.Command{
		Use:   "objects [KIND]",
		Short: "What the system has now: devices, links, mounts, the clock",
		Long: `Lists what rules can match, with the services that each thing holds. KIND is
device, link, mount or clock. --match takes a table as a rule's match has it, so
that a rule can be tried before it is written.`,
		Example: `  hsctl objects link
  hsctl objects device --match '{ SUBSYSTEM = "tty", ID_VENDOR_ID = "0403" }' --words
  hsctl objects link --match '{ physical = true, running = true }'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(kinds, args[0]) {
				return usage("objects: %q is no kind: write %s", args[len(args)-1], strings.Join(kinds, ", "))
			}
			return nil
		},
		ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			p := control.Params{Match: match}
			if len(args) == 1 {
				p.Kind = args[0]
			}
			return a.objects(p, words)
		},
	}
	c.Flags().StringVar(&match, "match", "", "only what this TOML table matches")
	c.Flags().BoolVar(&words, "words", false, "with all words of each")
	return c
}

func (a *app) objects(p control.Params, words bool) error {
	var raw json.RawMessage
	if err := a.ask(engine.VerbObjects, p, &raw); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(raw)
	}
	var objects []status.Object
	if err := json.Unmarshal(raw, &objects); err != nil {
		return err
	}
	if words {
		for i := range objects {
			a.printWords(&objects[i])
		}
		return nil
	}
	rows := make([][]cell, len(objects))
	for i, o := range objects {
		holds := list(o.Holds)
		if holds == "" {
			holds = "-"
		}
		rows[i] = []cell{{o.Name, plain}, {holds, plain}, {a.ago(o.Since), plain}, {o.Cause, plain}, {o.Key, plain}}
	}
	a.table([]string{"NAME", "HOLDS", "SINCE", "LAST EVENT", "KEY"}, rows)
	return nil
}

// printWords prints an object as a rule would have to match it.
func (a *app) printWords(o *status.Object) {
	fmt.Fprintln(a.out, a.paint(bold, clean(o.Key)))
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
}

func (a *app) rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rules",
		Short: "The rules, what they match now, and what they hold",
		Long: `Lists every rule in the order in which it counts, with the objects that its own
condition matches and the services that it holds through each, or why none.`,
		Example: `  hsctl rules
  hsctl rules --json | jq '.[] | select(.matches == [])'`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error { return a.rules() },
	}
}

func (a *app) rules() error {
	var raw json.RawMessage
	if err := a.ask(engine.VerbRules, control.Params{}, &raw); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(raw)
	}
	var rules []status.Rule
	if err := json.Unmarshal(raw, &rules); err != nil {
		return err
	}
	if len(rules) == 0 {
		fmt.Fprintln(a.out, "no rules: put one in /etc/hotsvc/rules.d")
	}
	for _, r := range rules {
		require := "nothing: it claims the object"
		if len(r.Require) > 0 {
			require = list(r.Require)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", a.paint(bold, clean(r.Name)), clean(r.Where))
		fmt.Fprintf(a.out, "  %s %s requires %s\n", r.Object, clean(r.Match), clean(require))
		for _, m := range r.Matches {
			switch {
			case m.Problem != nil:
				fmt.Fprintf(a.out, "    %s holds nothing: %s\n", clean(m.Object), a.paint(yellow, clean(*m.Problem)))
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
	return nil
}
