package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/layout"
)

// app is one run of hsctl: where it writes, and what the flags say.
type app struct {
	out, err io.Writer
	now      func() time.Time

	socket  string
	json    bool
	noColor bool
	noWait  bool
	timeout timeout

	helpless error // help was asked for of a verb that there is not
}

// root is the whole command line.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "hsctl",
		Short: "Shows and steers the services that hotsvc keeps true to the hardware",
		Long: `hsctl shows which services run and why, and holds, stops and starts them.

A service runs while something holds it: a rule that matches the hardware, a
service that needs it, a person. Rules only add; what takes a service down is,
strongest first: suspend and stopall, block, stop, a closed gate, no hold left.

Exit status: 0 yes, 1 no, 2 not in time, 3 no such service, 4 not permitted,
100 wrong usage, 111 no daemon.`,
		Example: `  hsctl status                 what runs
  hsctl status dhcp@wan0       all about one service
  hsctl why dhcp@wan0          why it runs, or why not
  hsctl restart dnsmasq`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		Version:           ownVersion(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return noVerb(cmd, args[0])
		},
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if rest := cmd.Flags().Args(); cmd == root && len(rest) > 0 {
			a.helpless = noVerb(cmd, rest[0])
			return
		}
		help(cmd, args)
	})
	root.SetHelpCommand(helpCommand())
	root.SetVersionTemplate("hsctl {{.Version}}\n")
	// The order in which people look for them is the one of the source.
	cobra.EnableCommandSorting = false
	root.SuggestionsMinimumDistance = 2
	root.SetUsageTemplate(usageTemplate)
	flags := root.PersistentFlags()
	flags.SortFlags, root.Flags().SortFlags = false, false
	flags.BoolVar(&a.json, "json", false, "answer in JSON")
	flags.Var(&a.timeout, "timeout", `how long a verb waits: "5s", "2m", "0" to ask only, "forever" (1m unless told)`)
	flags.BoolVar(&a.noWait, "no-wait", false, "return when it is ordered, not when it is done")
	flags.BoolVar(&a.noColor, "no-color", false, "no colour, not even on a terminal; also $NO_COLOR")
	flags.StringVar(&a.socket, "socket", "", "the daemon's socket at `PATH`; also $HOTSVC_SOCKET (else "+layout.SystemSocket+")")
	flags.BoolP("help", "h", false, "this text; of a verb: all about it")
	root.Flags().Bool("version", false, "the version of hsctl; the verb version asks the daemon for its own, too")
	root.RegisterFlagCompletionFunc("timeout", cobra.FixedCompletions([]string{"0", "5s", "1m", "forever"}, cobra.ShellCompDirectiveNoFileComp))

	add := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID, c.DisableFlagsInUseLine = id, true
			root.AddCommand(c)
		}
	}
	add("ask", "Ask:", a.statusCommand(), a.whyCommand(), a.waitCommand(), a.objectsCommand(), a.rulesCommand(), a.logsCommand(), a.monitorCommand(), a.timelineCommand(), a.metricsCommand())
	add("steer", "Steer:", append(a.actCommands(), a.holdCommand())...)
	add("all", "Everything at once:", a.globalCommands()...)
	add("config", "Configuration and others:", a.checkCommand(), a.planCommand(), a.reloadCommand(), a.upgradeCommand(), a.recordCommand(), a.replayCommand(), a.completionCommand(), a.versionCommand())
	for _, h := range hints {
		root.AddCommand(h.command())
	}
	return root
}

// noVerb is the error for a verb that there is not.
func noVerb(root *cobra.Command, verb string) error {
	if like := root.SuggestionsFor(verb); len(like) > 0 {
		return usage("there is no verb %q: did you mean %s?", verb, strings.Join(like, " or "))
	}
	return usage("there is no verb %q: see `hsctl --help`", verb)
}

// helpCommand is cobra's, but that it fails where there is no such verb.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "all about a verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			about, _, err := root.Find(args)
			if len(args) > 0 && (err != nil || about == root) {
				return noVerb(root, args[0])
			}
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (verbs []cobra.Completion, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					if c.IsAvailableCommand() {
						verbs = append(verbs, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return verbs, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// usageTemplate is cobra's with what most verbs have in common said once.
const usageTemplate = `Usage: {{if .HasParent}}{{.UseLine}}{{else}}hsctl [FLAG…] VERB …{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasParent}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}

Flags of every verb, see hsctl --help: --json --timeout --no-wait --no-color --socket
{{- else}}
{{- range $group := .Groups}}

{{.Title}}
{{- range $.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name 15}} {{.Short}}
{{- end}}{{end}}{{end}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}

hsctl VERB --help tells all about a verb.
{{- end}}
`

// socketPath is the socket to ask.
func (a *app) socketPath() string {
	if a.socket != "" {
		return a.socket
	}
	return layout.Socket()
}

// timeout is the value of --timeout.
type timeout struct {
	given bool
	d     time.Duration // negative: for ever
}

// String is the value as it is written.
func (t *timeout) String() string {
	switch {
	case !t.given:
		return ""
	case t.d < 0:
		return "forever"
	}
	return t.d.String()
}

// Set reads what was written.
func (t *timeout) Set(s string) error {
	t.given = true
	if s == "forever" {
		t.d = -1
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf(`a time with its unit, like "5s" or "2m", "0" or "forever"`)
	}
	t.d = d
	return nil
}

// Type is what help calls the value.
func (t *timeout) Type() string { return "D" }
