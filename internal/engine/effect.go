package engine

import (
	"fmt"
	"hash/fnv"
	"strings"
)

var effectNames = [...]string{"save", "forget", "global", "spawn", "term", "kill", "sweep", "retire", "signal", "reply", "link-up", "interest", "watch", "log"}

// String is the effect in one line, the same for the same effect: what a journal
// keeps of it. Of a record it has a hash, of an environment nothing.
func (e *Effect) String() string {
	var b strings.Builder
	b.WriteString(effectNames[e.Kind])
	if e.Service != "" {
		b.WriteString(" " + e.Service)
	}
	if e.Attempt > 0 {
		fmt.Fprintf(&b, " %v attempt %d", e.Command, e.Attempt)
	}
	switch e.Kind {
	case EffectSave, EffectGlobal:
		h := fnv.New64a()
		h.Write(e.Record)
		fmt.Fprintf(&b, " #%016x", h.Sum64())
	case EffectSpawn:
		fmt.Fprintf(&b, ": %q", e.Spawn.Argv)
	case EffectTerm, EffectSweep, EffectSignal:
		b.WriteString(" " + e.Signal)
	case EffectReply:
		fmt.Fprintf(&b, " %d: code %d %s", e.Reply.ID, e.Reply.Code, e.Reply.Error)
	case EffectLinkUp:
		fmt.Fprintf(&b, " %d", e.Ifindex)
	case EffectInterest:
		fmt.Fprintf(&b, " %q default routes %v", e.Interest.Attrs, e.Interest.DefaultRoutes)
	case EffectWatch:
		fmt.Fprintf(&b, " pid %d started %d", e.Client.Pid, e.Client.Started)
	case EffectLog:
		b.WriteString(" " + e.Text)
	}
	return strings.TrimRight(b.String(), " ")
}
