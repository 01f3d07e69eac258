package superdir

import (
	"time"

	"hotsvc/internal/engine"
)

// Changed says that there may be news of a service. It never blocks.
func (f *Face) Changed(service string) { f.tell(func() { f.changed[service] = true }) }

// Gone says that a service is not known any more. It never blocks.
func (f *Face) Gone(service string) { f.tell(func() { f.changed[service] = false }) }

// All says that there may be news of any service.
func (f *Face) All() { f.tell(func() { f.all = true }) }

// Anew says that services are defined anew: what could not be kept before is
// tried again.
func (f *Face) Anew() { f.tell(func() { f.all, f.anew = true, true }) }

func (f *Face) tell(what func()) {
	f.news.Lock()
	what()
	f.news.Unlock()
	f.watch.knock()
}

// behind tells whether there may be services that were not looked at yet.
func (f *Face) behind() bool {
	f.news.Lock()
	defer f.news.Unlock()
	return f.all || f.busy
}

// Settle returns when all that was told is written, or after a second.
func (f *Face) Settle() {
	done := make(chan struct{})
	f.tell(func() { f.settled = append(f.settled, done) })
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// Deliver takes the answer to the Face's own call.
func (f *Face) Deliver(r engine.Reply) {
	select {
	case f.answers <- r:
	default: // nobody asks any more
	}
}
