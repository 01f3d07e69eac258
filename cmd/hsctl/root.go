package main

import (
	"fmt"
	"io"
	"os"
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
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownVerb(cmd, args[0])
		},
	}
	// The order in which people look for them is the one of the source.
	cobra.EnableCommandSorting = false
	root.SuggestionsMinimumDistance = 2
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&a.socket, "socket", "", "the daemon's socket (default: $HOTSVC_SOCKET, or "+systemSocket+")")
	flags.BoolVar(&a.json, "json", false, "answer in JSON")
	flags.BoolVar(&a.noColor, "no-color", false, "no colour, not even on a terminal")
	flags.Var(&a.timeout, "timeout", `how long to wait: "5s", "2m", "0" to ask only, "forever" (default 1m)`)
	flags.BoolVar(&a.noWait, "no-wait", false, "return when it is ordered, not when it is done")
	root.RegisterFlagCompletionFunc("timeout", cobra.FixedCompletions([]string{"0", "5s", "1m", "forever"}, cobra.ShellCompDirectiveNoFileComp))

	root.AddGroup(
		&cobra.Group{ID: "ask", Title: "Ask:"},
		&cobra.Group{ID: "steer", Title: "Steer:"},
		&cobra.Group{ID: "all", Title: "Everything at once:"},
		&cobra.Group{ID: "config", Title: "Configuration and others:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("ask", a.statusCommand(), a.whyCommand(), a.waitCommand(), a.objectsCommand(), a.rulesCommand(), a.monitorCommand())
	add("steer", a.actCommands()...)
	add("steer", a.holdCommand())
	add("all", a.globalCommands()...)
	add("config", a.checkCommand(), a.reloadCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("config")
	root.SetCompletionCommandGroupID("config")
	for _, h := range hints {
		root.AddCommand(h.command())
	}
	return root
}

const systemSocket = "/run/hotsvc/control"

// socketPath is the socket to ask. An ordinary user without a daemon of his own
// asks the system's.
func (a *app) socketPath() string {
	if a.socket != "" {
		return a.socket
	}
	if s := os.Getenv("HOTSVC_SOCKET"); s != "" {
		return s
	}
	own := layout.Default()
	if _, err := os.Stat(own.SocketPath()); err == nil {
		return own.SocketPath()
	}
	return systemSocket
}

// unknownVerb says what hsctl does not know, and what is like it.
func unknownVerb(cmd *cobra.Command, verb string) error {
	if like := cmd.Root().SuggestionsFor(verb); len(like) > 0 {
		return usage("there is no verb %q: did you mean %s?", verb, strings.Join(like, " or "))
	}
	return usage("there is no verb %q: see hsctl --help", verb)
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
