package engine

import (
	"context"
	"testing"
	"time"
)

// What a caller had been promised, and bytes that nobody can read again, were in
// the inbox when the daemon was told to end, and nobody did it.
func TestWhatIsInTheInboxAtTheEndIsDone(t *testing.T) {
	s, c := restored(t, "exec_start = ['a']", nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // select takes any of what is ready
		inbox := NewInbox()
		inbox <- Input{Call: &Call{Verb: VerbStart, Services: []string{"a"}, NoWait: true}}
		inbox <- Input{Call: &Call{Verb: VerbBlock, Services: []string{"a"}, Timeout: time.Second}}
		var effects []Effect
		Loop(ctx, c, inbox, s.clock, func(e Effect) { effects = append(effects, e) })
		if len(inbox) > 0 || of(EffectSave, effects) == nil {
			t.Fatalf("%d are left; done was %q", len(inbox), told(effects))
		}
	}
}
