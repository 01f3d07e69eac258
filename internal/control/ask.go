package control

import (
	"context"
	"errors"
	"time"

	"hotsvc/internal/engine"
)

// AnswerTime is how long a daemon may take for an answer that nothing waits for.
const AnswerTime = 20 * time.Second

const (
	againTime  = 2 * time.Second // how long is asked again when a daemon goes away
	againPause = 50 * time.Millisecond
	roomTime   = 10 * time.Second // how long, at least, where there is no room
	roomPause  = time.Second      // then, at most: a crowd at the door is work for the daemon, too
)

// Ask has the daemon on a socket answer one question. A verb that waits does so
// for as long as patience says: 0 only asks, less than 0 is for ever; the others
// do not look at it. When the daemon goes away before it has answered, as it does
// when it is upgraded, and asking twice does no harm, the next one is asked. The
// error is an *Error.
func Ask(socket string, verb engine.Verb, p Params, patience time.Duration, into any) error {
	op := Find(verb)
	waits := op != nil && op.Waits && !p.NoWait
	if !waits {
		patience = 0
	}
	ends := time.Now().Add(patience)
	ctx := context.Background()
	if patience >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, ends.Add(AnswerTime))
		defer cancel()
	}
	return again(func() (reached bool, err error) {
		if waits {
			left := int64(-1)
			switch {
			case patience == 0:
				left = 0
			case patience > 0: // nearly over is not "only ask"
				left = max(1, time.Until(ends).Milliseconds())
			}
			p.Timeout = &left
		}
		c, err := Dial(ctx, socket)
		if err != nil {
			return false, err
		}
		defer c.Close()
		return true, c.Call(ctx, verb, p, into)
	}, repeatable(verb, p), patience)
}

// Again does what a daemon's end may break, with the next daemon, as Ask does;
// for what may be repeated.
func Again(do func() (reached bool, err error)) error { return again(do, true, 0) }

// again repeats what found no room, for nothing was done: many callers at once
// are nothing unusual when a machine boots. To wait for room is to wait: it takes
// no more patience than the answer would.
func again(do func() (reached bool, err error), repeatable bool, patience time.Duration) error {
	began, pause := time.Now(), againPause
	var brokeAt time.Time
	for {
		reached, err := do()
		var failed *Error
		if errors.As(err, &failed) && failed.Busy && (patience < 0 || time.Since(began) < max(patience, roomTime)) {
			time.Sleep(pause)
			pause = min(2*pause, roomPause)
			continue
		}
		if !repeatable || !errors.As(err, &failed) || !failed.Lost {
			return err
		}
		if reached {
			brokeAt = time.Now()
		}
		if brokeAt.IsZero() || time.Since(brokeAt) > againTime {
			return err
		}
		time.Sleep(againPause)
	}
}

// repeatable tells whether asking twice is the same as asking once. A counted
// hold is not, for its answer may have been on the way, and a restart is one more
// restart.
func repeatable(verb engine.Verb, p Params) bool {
	switch verb {
	case engine.VerbRequire, engine.VerbRelease:
		return p.As != ""
	case engine.VerbRestart, engine.VerbReloadService, engine.VerbOnce, engine.VerbSignal, engine.VerbExit:
		return false
	}
	return true
}
