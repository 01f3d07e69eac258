package engine

import (
	"context"
	"time"
)

// inboxSize is how many inputs wait while a Step runs. When it is full the
// sources block, their sockets overflow, and they list again: overload costs a
// resync, never memory and never the truth.
const inboxSize = 256

// Inbox is where everything that happens is put.
type Inbox chan Input

// NewInbox makes an inbox.
func NewInbox() Inbox { return make(Inbox, inboxSize) }

// Loop is the loop: it owns the core until ctx has ended and what was in the inbox
// by then is done: who put it there may have been told so, and asks nobody else.
// do is called for every effect in order and must not block; clock tells the time
// of a Step.
func Loop(ctx context.Context, c *Core, inbox Inbox, clock func() Now, do func(Effect)) {
	timer := time.NewTimer(0) // the first Step has what Restore and the configuration ask for
	defer timer.Stop()
	var batch []Input
	for ended := false; !ended; {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			ended = true
		case <-timer.C:
		case in := <-inbox:
			batch = append(batch, in)
		}
		for len(batch) < inboxSize && len(inbox) > 0 {
			batch = append(batch, <-inbox)
		}
		now := clock()
		effects, wake := c.Step(now, batch)
		for _, told := range []bool{false, true} { // what is ordered begins first, then it is told
			for _, e := range effects {
				if told == (e.Kind == EffectLog) {
					do(e)
				}
			}
		}
		timer.Stop()
		if wake > 0 {
			timer.Reset(max(0, wake-now.Mono))
		}
	}
}
