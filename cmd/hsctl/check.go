package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/config"
	"hotsvc/internal/engine"
	"hotsvc/internal/toml"
)

// roots are the directories that a daemon reads unless it is told otherwise;
// the later override the earlier.
var roots = []string{"/usr/lib/hotsvc", "/etc/hotsvc"}

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
	dirs := roots
	if len(args) == 1 {
		if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
			return usage("check: %s is no directory: name one with rules.d and services in it", args[0])
		}
		dirs = args
	}
	conf, problems := readFiles(dirs)
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
	if toml.HasErrors(problems) {
		return silent(engine.CodeNo)
	}
	if !a.json {
		fmt.Fprintf(a.out, "%s and %s in %s: good\n",
			many(len(conf.Rules), "rule"), many(len(conf.Services), "service"), strings.Join(dirs, ", "))
	}
	return nil
}

// readFiles loads the directories as layers.
func readFiles(dirs []string) (*config.Config, []toml.Problem) {
	var in config.Input
	var problems toml.Problems
	for _, dir := range dirs {
		layer, wrong := config.Check(config.Source{Name: filepath.Clean(dir), FS: os.DirFS(dir)})
		problems.Add(wrong...)
		in.Settings, in.Strict = layer.Settings, true // the last layer's, as the daemon has it
		in.Rules = append(in.Rules, layer.Rules...)
		in.Services = append(in.Services, layer.Services...)
	}
	in.Find = func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			return ""
		}
		return path
	}
	conf, wrong := config.Load(in)
	problems.Add(wrong...)
	return conf, problems.Sorted()
}
