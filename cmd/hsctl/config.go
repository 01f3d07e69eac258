package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/dialect"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "Read rules and services and say what is wrong; needs no daemon",
		Long: `Reads what a daemon reads, or DIR as if it were /etc/hotsvc: rules.d, services,
and hotsvc.toml with the directories that it names, of which those below
/etc/hotsvc are looked for below DIR. Prints every problem as file:line:col:
message. A DIR that is itself a tree of services is read as one, runit's /etc/sv
for example; DIALECT:DIR says whose it is. The exit status is 1 when there is a
problem; warnings do not count.`,
		Example: `  hsctl check
  hsctl check runit:/etc/sv
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
	here := layout.Default()
	read := func() (*config.Config, []toml.Problem) { return here.Read() }
	if len(args) == 1 {
		_, dir := dialect.Cut(args[0])
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return usage("check: %s is no directory: name one with rules.d and services in it", dir)
		}
		read = func() (*config.Config, []toml.Problem) { return layout.Check(args[0], nil) }
	}
	conf, problems := read()
	if a.json {
		if err := a.printJSON(append([]toml.Problem{}, problems...)); err != nil {
			return err
		}
	} else {
		a.printProblems(problems)
	}
	if conf == nil {
		return &control.Error{Code: engine.CodeNo} // the problems are printed
	}
	if !a.json {
		for _, n := range conf.Notes {
			fmt.Fprintln(a.out, clean(n))
		}
		rules, services := 0, 0
		builtIn := func(at toml.Pos) bool { return strings.HasPrefix(at.File, service.BuiltIn) }
		for i := range conf.Rules {
			if !builtIn(conf.Rules[i].Pos) {
				rules++
			}
		}
		for _, def := range conf.Services {
			if !builtIn(def.Pos) && def.Exec.Input == "" { // a logger is its service's
				services++
			}
		}
		fmt.Fprintf(a.out, "%s and %s: good\n", many(rules, "rule"), many(services, "service"))
	}
	return nil
}

func (a *app) printProblems(problems []toml.Problem) {
	for _, p := range problems {
		fmt.Fprintln(a.out, clean(p.String()))
	}
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Read rules and services again",
		Long: `Has the daemon read its files again. Services whose definition is as it was are
not touched. A configuration with any error is refused whole: the one in force
stays, and every problem is printed.`,
		Example: `  hsctl reload
  hsctl check /etc/hotsvc && hsctl reload`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := show(a, control.Reload, control.Params{}, a.printProblems)
			return err
		},
	}
}

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "A script that lets a shell complete verbs and services",
		Long: `Prints the script for bash, zsh, fish or powershell. Names of services come from
the daemon, when they are asked for.`,
		Example: `  hsctl completion bash > /etc/bash_completion.d/hsctl
  hsctl completion zsh > /usr/share/zsh/site-functions/_hsctl
  hsctl completion fish > /etc/fish/completions/hsctl.fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usage("completion: for which shell? Write %s", list(shells))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			}
			return root.GenPowerShellCompletionWithDesc(a.out)
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The versions of hsctl and of the daemon",
		Long:    "Prints the versions of hsctl and of the daemon, or that there is none, which is\nno failure.",
		Example: "  hsctl version",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			var daemon *string
			ctx, cancel := context.WithTimeout(context.Background(), control.AnswerTime)
			defer cancel()
			if c, err := control.Dial(ctx, a.socketPath()); err == nil {
				defer c.Close()
				version, err := c.Version(ctx)
				if err != nil {
					return err
				}
				daemon = &version
			}
			if a.json {
				return a.printJSON(map[string]any{"hsctl": ownVersion(), "daemon": daemon})
			}
			fmt.Fprintln(a.out, "hsctl  "+ownVersion())
			if daemon != nil {
				fmt.Fprintln(a.out, "daemon "+clean(*daemon))
			} else {
				fmt.Fprintln(a.out, "daemon none on "+a.socketPath())
			}
			return nil
		},
	}
}
