package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// explain makes more of "there is no such service": a template's name is
// answered with its instances, a link's name with the services on that link.
func (a *app) explain(names []string, err error) error {
	var failed *control.Error
	if !errors.As(err, &failed) || failed.Code != engine.CodeUnknown {
		return err
	}
	services := a.known()
	for _, name := range names {
		if has(services, func(s *status.Service) bool { return s.Name == name }) {
			continue
		}
		if text := likely(name, services); text != "" {
			return &control.Error{Code: failed.Code, Text: text}
		}
	}
	return err
}

// likely says what was meant by a name that no service has.
func likely(name string, services []status.Service) string {
	template := strings.TrimSuffix(name, "@") + "@"
	var instances, on []string
	for i := range services {
		s := &services[i]
		switch {
		case s.Template != nil && *s.Template == template && s.Instance != nil:
			instances = append(instances, s.Name+" ("+s.State+")")
		case s.Primary != nil && objectName(*s.Primary) == name:
			on = append(on, s.Name+" ("+s.State+")")
		}
	}
	switch {
	case len(instances) > 0:
		return name + " is a template: which instance? " + list(instances)
	case len(on) > 0:
		return name + " is no service; services on link " + name + ": " + list(on)
	}
	return ""
}

// objectName is the name of a link in "link:3:wan0"; "" for other objects.
func objectName(label string) string {
	if parts := strings.SplitN(label, ":", 3); len(parts) == 3 && parts[0] == "link" {
		return parts[2]
	}
	return ""
}

// known are all services, or none where there is no answer at once.
func (a *app) known() []status.Service {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := control.Dial(ctx, a.socketPath())
	if err != nil {
		return nil
	}
	defer c.Close()
	var report status.Report
	if c.Call(ctx, engine.VerbStatus, control.Params{}, &report) != nil {
		return nil
	}
	return report.Services
}

func has(services []status.Service, is func(*status.Service) bool) bool {
	for i := range services {
		if is(&services[i]) {
			return true
		}
	}
	return false
}

// completeServices offers the daemon's services, each with what it is and how.
func (a *app) completeServices(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, s := range a.known() {
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
