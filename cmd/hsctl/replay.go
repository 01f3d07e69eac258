package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/toml"
)

func (a *app) replayCommand() *cobra.Command {
	var rules string
	var verbose bool
	c := &cobra.Command{
		Use:   "replay FILE [--rules DIR]",
		Short: "Run a journal again, and see what was decided",
		Long: `Runs what ` + "`hsctl record`" + ` wrote through the same core and prints each decision with
its time; with -v also the answers to people that refuse nothing. It needs no
daemon, and starts nothing. When this program decides otherwise than the daemon
did, that is said and the exit status is 1.

With --rules it prints what would differ with the rules and services in DIR,
which is laid out as for ` + "`hsctl check DIR`" + `: when which service would be wanted that
was not, and the other way round.`,
		Example: `  hsctl replay /tmp/flap.journal
  hsctl replay /tmp/flap.journal --rules ./router`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("replay: which journal? `hsctl record FILE` writes one")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.replay(args[0], rules, verbose) },
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&rules, "rules", "", "what would differ with rules.d and services of `DIR`")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "with every answer")
	return c
}

func (a *app) replay(file, rules string, verbose bool) error {
	f, err := os.Open(file)
	if err != nil {
		return usage("replay: %v", err)
	}
	defer f.Close()
	bad := func(err error) error { return usage("replay: %s: %v: is it a journal of `hsctl record`?", file, err) }
	p, err := engine.NewPlayer(f)
	if err != nil {
		return bad(err)
	}
	conf, err := p.Config()
	if err != nil {
		return bad(err)
	}
	core, err := p.Core(conf)
	if err != nil {
		return bad(err)
	}
	if rules != "" {
		return a.replayOther(file, p, core, rules)
	}
	for n := 0; ; {
		e, in, err := p.Next()
		if errors.Is(err, io.EOF) {
			a.endOf(file, p, core)
			if !a.json {
				fmt.Fprintf(a.out, "%s, all as the daemon's\n", many(n, "decision"))
			}
			return nil
		}
		if err != nil {
			return bad(err)
		}
		effects, err := p.Step(core, e.Now, in)
		if err != nil {
			return bad(err)
		}
		decisions := engine.Decisions(effects, verbose)
		n += len(decisions)
		a.printDecisions(e.Now.Wall, decisions)
		got := []string{}
		for i := range effects {
			got = append(got, effects[i].String())
		}
		if !slices.Equal(got, e.Out) {
			return &control.Error{Code: engine.CodeNo, Text: fmt.Sprintf("replay: at %s the daemon (%s) decided otherwise: %s",
				stamp(e.Now.Wall), p.Heading.Version, strings.Join(e.Out, "; "))}
		}
	}
}

// endOf says how far a journal goes whose last line is not whole.
func (a *app) endOf(file string, p *engine.Player, c *engine.Core) {
	if p.Cut > 0 {
		fmt.Fprintf(a.err, "hsctl: %s is cut off in line %d: it goes up to %s\n", file, p.Cut, stamp(c.Now().Wall))
	}
}

func (a *app) printDecisions(at time.Time, lines []string) {
	for _, line := range lines {
		if a.json {
			a.printJSON(map[string]any{"time": at, "decision": line})
		} else {
			fmt.Fprintf(a.out, "%s %s\n", stamp(at), clean(line))
		}
	}
}

func stamp(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05.000") }

// replayOther gives the same inputs to a core with other rules, and prints when
// the two want different services. What the other one would have started has
// left no trace in the journal, so its processes are not compared.
func (a *app) replayOther(file string, p *engine.Player, was *engine.Core, dir string) error {
	conf, err := a.otherConfig("replay", dir, was.Config())
	if err != nil {
		return err
	}
	would, err := p.Core(was.Config())
	if err != nil {
		return err
	}
	if _, err := p.Step(would, p.Heading.Now, []engine.Input{{Config: conf}}); err != nil {
		return usage("replay: %s: %v", file, err)
	}
	differ := map[string]bool{}
	same := true
	var before, after wishes
	for {
		before, after = before.next(was), after.next(would)
		for _, d := range differences(was.Now().Wall, before, after) {
			if differ[d.service] == d.differs {
				continue
			}
			differ[d.service] = d.differs
			same = false
			a.printDecisions(d.at, []string{d.text})
		}
		e, in, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return usage("replay: %s: %v", file, err)
		}
		if _, err = p.Step(was, e.Now, in); err == nil {
			_, err = p.Step(would, e.Now, slices.DeleteFunc(in, func(i engine.Input) bool { return i.Config != nil }))
		}
		if err != nil {
			return usage("replay: %s: %v", file, err)
		}
	}
	a.endOf(file, p, was)
	if same && !a.json {
		fmt.Fprintln(a.out, "the same services would have been wanted all the time")
	}
	return nil
}

// difference is how a service stands in two cores.
type difference struct {
	service string
	differs bool
	at      time.Time
	text    string
}

// wishes are the services that a core wants.
type wishes map[string]bool

// next are the wishes of a core a Step later: what is to be kept as it is stays
// what it was.
func (w wishes) next(c *engine.Core) wishes {
	now := wishes{}
	for _, s := range c.Report(nil).Services {
		was, known := w[s.Name]
		if now[s.Name] = was; !known || s.Want != "keep" {
			now[s.Name] = s.Wanted()
		}
	}
	return now
}

func differences(at time.Time, before, after wishes) []difference {
	var out []difference
	for _, name := range sortedNames(before, after) {
		d := difference{service: name, differs: before[name] != after[name], at: at, text: name + ": would be as it was"}
		switch {
		case after[name] && !before[name]:
			d.text = name + ": would be wanted, and was not"
		case before[name] && !after[name]:
			d.text = name + ": would not be wanted, and was"
		}
		out = append(out, d)
	}
	return out
}

func sortedNames(sets ...wishes) []string {
	var names []string
	for _, set := range sets {
		for name := range set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// otherConfig reads a directory that is laid out like /etc/hotsvc, to follow on
// what was in force; its problems are printed.
func (a *app) otherConfig(verb, dir string, was *config.Config) (*config.Config, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usage("%s: %s is no directory: name one with rules.d and services in it", verb, dir)
	}
	conf, problems := layout.Check(dir, was)
	if conf == nil || toml.HasErrors(problems) {
		a.printProblems(problems)
		return nil, &control.Error{Code: engine.CodeNo}
	}
	return conf, nil
}
