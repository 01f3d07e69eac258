package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hotsvc/internal/config"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/toml"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "Read rules and services and say what is wrong; needs no daemon",
		Long: `Reads rules.d, services and hotsvc.toml in DIR, or what a daemon reads, and
prints every problem as file:line:col: message. The exit status is 1 when there is
one; warnings do not count.`,
		Example: `  hsctl check
  hsctl check ./router && cp -r router/* /etc/hotsvc && hsctl reload`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("check takes one directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.check(args) },
	}
}

func (a *app) check(args []string) error {
	conf, problems, err := readFiles(args)
	if err != nil {
		return err
	}
	if a.json {
		out, err := json.Marshal(append([]toml.Problem{}, problems...))
		if err != nil {
			return err
		}
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintln(a.out, clean(p.String()))
		}
	}
	if conf == nil {
		return silent(engine.CodeNo)
	}
	if !a.json {
		for _, n := range conf.Notes {
			fmt.Fprintln(a.out, clean(n))
		}
		fmt.Fprintf(a.out, "%s and %s: good\n", many(len(conf.Rules), "rule"), many(len(conf.Services), "service"))
	}
	return nil
}

// readFiles reads a directory, or, where none is named, what a daemon reads.
func readFiles(args []string) (*config.Config, []toml.Problem, error) {
	if len(args) == 0 {
		l := layout.Default()
		conf, problems := l.Read(true)
		return conf, problems, nil
	}
	if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
		return nil, nil, usage("check: %s is no directory: name one with rules.d and services in it", args[0])
	}
	conf, problems := layout.Check(args[0])
	return conf, problems, nil
}
