package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// hint answers a verb that people know from elsewhere.
type hint struct {
	verb string
	text string // {} stands for what follows the verb
}

var hints = []hint{
	{"enable", "rules decide what runs; for always: start_at_boot = true in the service file of {}"},
	{"disable", "rules decide what runs: `hsctl why {}` names the rule; `hsctl block {}` keeps it down until the next boot"},
	{"mask", "an empty file masks a service: `touch /etc/hotsvc/services/{}.toml`, then `hsctl reload`; until the next boot: `hsctl block {}`"},
	{"unmask", "remove the empty file /etc/hotsvc/services/{}.toml, then `hsctl reload`; or did you mean `hsctl unblock {}`?"},
	{"daemon-reload", "it is `hsctl reload`; `hsctl check` shows problems first"},
	{"is-active", "it is `hsctl wait {} --timeout 0`"},
	{"list-units", "it is `hsctl status`"},
	{"list", "it is `hsctl status`"},
	{"show", "it is `hsctl status {} --json`"},
	{"cat", "`hsctl status {}` names its definition"},
	{"logs", "`hsctl status {}` shows the last lines and names the file"},
	{"up", "it is `hsctl start {}`"},
	{"down", "it is `hsctl stop {}`"},
}

// command is a verb that only answers with the hint.
func (h hint) command() *cobra.Command {
	return &cobra.Command{
		Use: h.verb, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "SVC"
			if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				name = args[0]
			}
			return usage("%s: %s", h.verb, strings.ReplaceAll(h.text, "{}", name))
		},
	}
}

// completeServices offers the daemon's services, each with what it is and how.
func (a *app) completeServices(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, s := range a.services(context.Background()) {
		if !strings.HasPrefix(s.Name, begun) || slices.Contains(args, s.Name) {
			continue
		}
		text := s.State
		if s.Description != "" {
			text += ": " + s.Description
		}
		out = append(out, cobra.CompletionWithDesc(s.Name, clean(text)))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
