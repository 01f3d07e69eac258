package main

import (
	"fmt"
	"strconv"
	"strings"

	"hotsvc/internal/status"
)

// put prints lines with a label beside them; nothing for nothing.
func (a *app) put(label string, lines ...string) {
	for i, l := range lines {
		switch {
		case i > 0:
			fmt.Fprintf(a.out, "%13s%s\n", "", clean(l))
		case l != "":
			fmt.Fprintf(a.out, "%11s: %s\n", label, clean(l))
		}
	}
}

// printService prints all about one service.
func (a *app) printService(s *status.Service) {
	title := a.paint(bold, clean(s.Name))
	if s.Description != "" {
		title += " - " + clean(s.Description)
	}
	fmt.Fprintln(a.out, title)
	state := a.paint(stateColour(s.State), s.State)
	if s.Substate != nil && *s.Substate != s.State {
		state += " (" + *s.Substate + ")"
	}
	fmt.Fprintf(a.out, "%11s: %s since %s\n", "state", state, a.when(s.Since))
	a.put("reason", s.Reason)
	if b := s.Blocked; b != nil {
		line := b.Kind + " by " + b.By
		if !b.Since.IsZero() {
			line += " since " + a.when(b.Since)
		}
		if len(b.UntilGone) > 0 {
			line += ", until " + list(b.UntilGone) + " is gone"
		}
		a.put("blocked", line)
	}
	if s.Want == "keep" {
		a.put("wanted", "as it is: it is not started and not stopped")
	}
	if s.Pid != nil {
		a.put("main pid", strconv.Itoa(*s.Pid))
	}
	if s.Exit != nil {
		a.put("last exit", a.exitLine(s.Exit, s.Reason))
	}
	if s.Restarts > 0 || s.Failures > 0 {
		line := strconv.FormatInt(s.Restarts, 10)
		if s.Failures > 0 {
			line += ", " + many(s.Failures, "failure") + " in a row"
		}
		a.put("restarts", line)
	}
	if s.NextStart != nil {
		a.put("next start", a.when(*s.NextStart))
	}
	var lines []string
	for _, w := range s.WaitingFor {
		if w.Kind != "backoff" && w.Kind != "blocked" { // said above
			lines = append(lines, waiting(w))
		}
	}
	a.put("waits for", lines...)
	lines = nil
	for i := range s.Holds {
		lines = append(lines, a.holdLine(&s.Holds[i]))
	}
	if lines == nil {
		lines = []string{"nothing"}
	}
	a.put("held by", lines...)
	lines = nil
	for _, g := range s.Gates {
		state := "not known yet"
		switch {
		case g.Open != nil && *g.Open:
			state = "open"
		case g.Open != nil:
			state = "closed"
		}
		lines = append(lines, g.Text+": "+state)
	}
	a.put("gates", lines...)
	a.put("needs", list(s.Needs))
	a.put("needed by", list(s.NeededBy))
	if s.Primary != nil {
		a.put("object", *s.Primary)
	}
	if d := s.Definition; d != nil {
		line := s.Type + " from " + d.File
		if d.Line > 0 {
			line += ":" + strconv.Itoa(d.Line)
		}
		if d.Masked {
			line += ", masked: it never starts"
		}
		a.put("defined", line)
	}
	lines = nil
	for _, c := range s.History {
		lines = append(lines, fmt.Sprintf("%s %s → %s%s", a.stamp(c.At, ".000"), c.From, c.To, colon(c.Reason)))
	}
	a.put("history", lines...)
	if s.Log != nil {
		a.put("log", append([]string{*s.Log}, s.LogTail...)...)
	}
}

// exitLine says how the last run ended, unless the reason says it already.
func (a *app) exitLine(e *status.Exit, reason string) string {
	text := e.Text
	if text == "" {
		text = e.What + ": "
		switch {
		case e.Signal != nil:
			text += "killed by " + *e.Signal
		case e.Code != nil:
			text += "exit status " + strconv.Itoa(*e.Code)
		default:
			text += "status unknown"
		}
	}
	if text == reason {
		return a.when(e.At)
	}
	return text + ", " + a.when(e.At)
}

// holdLine is a hold with all that limits it.
func (a *app) holdLine(h *status.Hold) string {
	var b strings.Builder
	b.WriteString(h.Holder)
	if h.Count > 1 {
		fmt.Fprintf(&b, " ×%d", h.Count)
	}
	if h.Object != nil {
		b.WriteString(" through " + *h.Object)
	}
	if h.With != nil {
		b.WriteString(" with " + *h.With)
	}
	if h.Where != nil {
		b.WriteString(" (" + *h.Where + ")")
	}
	fmt.Fprintf(&b, " for %s", a.ago(h.Since))
	if h.LingerUntil != nil {
		b.WriteString(", lost, lingers " + a.left(*h.LingerUntil) + " more")
	}
	if h.Settling != nil {
		b.WriteString(", settles in " + a.left(*h.Settling))
	}
	if h.Suppressed != nil {
		b.WriteString(", flapped, suppressed " + a.left(*h.Suppressed) + " more")
	}
	if h.Provisional {
		b.WriteString(", remembered: not yet seen again")
	}
	return b.String()
}

// waiting is one thing that a start waits for.
func waiting(w status.Waiting) string {
	if w.What == "" {
		return w.Kind
	}
	return w.Kind + " " + w.What
}
