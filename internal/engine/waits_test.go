package engine

import (
	"testing"
	"time"

	"hotsvc/internal/service"
)

// A busy machine told of the beginning and of the end of a short run in one
// breath, and who had started it waited for the next run, after the backoff.
func TestStartOfWhatCrashesAtOnceIsAnsweredAtOnce(t *testing.T) {
	s, c := restored(t, "exec_start = ['a']", nil, nil)
	c.Step(s.clock(), []Input{{Call: &Call{ID: 1, Verb: VerbStart, Services: []string{"a"}, Timeout: time.Minute, Peer: Peer{UID: 0}}}})
	effects, _ := c.Step(s.clock(), []Input{news(1, service.Spawned), news(1, service.Exited)})
	if e := of(EffectReply, effects); e == nil || e.Reply.Code != CodeYes {
		t.Errorf("it came up, and the caller hears nothing of it: %q", told(effects))
	}
}
