package main

import (
	"fmt"
	"strconv"
	"strings"

	"hotsvc/internal/status"
)

// sheet prints what is known of one thing: a label, and lines beside it.
type sheet struct {
	a *app
}

const labelWidth = 11

func (s sheet) put(label string, lines ...string) {
	for i, l := range lines {
		if i > 0 {
			label = ""
		}
		gap := ":"
		if label == "" {
			gap = " "
		}
		fmt.Fprintf(s.a.out, "%*s%s %s\n", labelWidth, label, gap, clean(l))
	}
}

// printService prints all about one service.
func (a *app) printService(s *status.Service) {
	title := s.Name
	if s.Description != "" {
		title += " - " + s.Description
	}
	fmt.Fprintln(a.out, a.paint(bold, clean(title)))
	p := sheet{a}
	state := s.State
	if s.Substate != nil {
		state += " (" + *s.Substate + ")"
	}
	fmt.Fprintf(a.out, "%*s: %s since %s\n", labelWidth, "state", a.paint(stateColour(s.State), clean(state)), a.when(s.Since))
	if s.Reason != "" {
		p.put("reason", s.Reason)
	}
	p.put("wanted", s.Want)
	switch {
	case s.Main != nil:
		p.put("main pid", fmt.Sprintf("%d, started %s", s.Main.Pid, a.when(s.Main.Started)))
	case s.Pid != nil:
		p.put("main pid", strconv.Itoa(*s.Pid))
	}
	if s.Exit != nil {
		p.put("last exit", a.exitLine(s.Exit))
	}
	if s.Restarts > 0 || s.Failures > 0 {
		line := strconv.FormatInt(s.Restarts, 10)
		if s.Failures > 0 {
			line += ", " + many(s.Failures, "failure") + " in a row"
		}
		p.put("restarts", line)
	}
	if s.NextStart != nil {
		p.put("next start", a.when(*s.NextStart))
	}
	if b := s.Blocked; b != nil {
		p.put("blocked", a.blockedLine(b))
	}
	var lines []string
	for _, w := range s.WaitingFor {
		lines = append(lines, waiting(w))
	}
	p.put("waits for", lines...)
	lines = nil
	for i := range s.Holds {
		lines = append(lines, a.holdLine(&s.Holds[i]))
	}
	if lines == nil {
		lines = []string{"nothing"}
	}
	p.put("held by", lines...)
	lines = nil
	for _, g := range s.Gates {
		lines = append(lines, g.Text+": "+gateWord(g.Open))
	}
	p.put("gates", lines...)
	if len(s.Needs) > 0 {
		p.put("needs", list(s.Needs))
	}
	if len(s.NeededBy) > 0 {
		p.put("needed by", list(s.NeededBy))
	}
	if s.Primary != nil {
		p.put("object", *s.Primary)
	}
	if d := s.Definition; d != nil {
		line := s.Type + " from " + d.File
		if d.Line > 0 {
			line += ":" + strconv.Itoa(d.Line)
		}
		if d.Masked {
			line += ", masked: it never starts"
		}
		p.put("defined", line)
	}
	if s.Log != nil {
		p.put("log", *s.Log)
	}
	lines = nil
	for _, c := range s.History {
		lines = append(lines, c.At.Local().Format("2006-01-02 15:04:05 ")+changeText(c))
	}
	p.put("history", lines...)
	if len(s.LogTail) > 0 {
		fmt.Fprintln(a.out)
		for _, l := range s.LogTail {
			fmt.Fprintln(a.out, clean(l))
		}
	}
}

func (a *app) exitLine(e *status.Exit) string {
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
	return text + ", " + a.when(e.At)
}

func (a *app) blockedLine(b *status.Blocked) string {
	line := b.Kind + " by " + b.By
	if !b.Since.IsZero() {
		line += " since " + a.when(b.Since)
	}
	if len(b.UntilGone) > 0 {
		line += ", until gone: " + list(b.UntilGone)
	}
	return line
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

func gateWord(open *bool) string {
	switch {
	case open == nil:
		return "not known yet"
	case *open:
		return "open"
	}
	return "closed"
}

// waiting is one thing that a start waits for.
func waiting(w status.Waiting) string {
	if w.What == "" {
		return w.Kind
	}
	return w.Kind + " " + w.What
}

func changeText(c status.Change) string {
	text := c.From + " → " + c.To
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}
