package linkwatch

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/object"
)

// A radio's words come from two sockets, and a link is published whole: what
// rtnetlink says of a new radio, or of one whose carrier came, is held back
// until nl80211 was asked after that. So ssid and associated never belong to
// the association before, and a rule with bounce_on = ["ssid"] meets no other
// network than the one that is there.

// radioPatience is how long a link is held back for that. nl80211 answers in a
// fraction of a millisecond, unless the driver is busy or broken: then the
// words are told to be unknown.
const radioPatience = time.Second

// air is a link's state as a radio.
type air struct {
	radio
	asked    uint64    // number of the latest question
	answered uint64    // and of the latest that was answered
	until    time.Time // how long it is held back

	named    bool // since its carrier came, nl80211 has named a network
	wasUp    bool // as when it was looked at last:
	wasOn    bool // its carrier
	wasDowns uint32
}

// unanswered tells whether the answer that the link needs is not there yet.
//
// A client with a carrier and without a network's name is between the two: some
// drivers set the carrier just before cfg80211 knows of it. Or nobody ever tells
// the name.
func (a *air) unanswered(carrier bool) bool {
	switch {
	case a.answered == 0:
		return true
	case !carrier || !a.there:
		return false
	case a.answered < a.asked:
		return true
	}
	return a.client() && a.ssid == "" && !a.named
}

// holdsForRadio asks nl80211 where it may have another answer now, and tells
// whether the link has to wait for it.
func (t *table) holdsForRadio(l *link) bool {
	if t.desk == nil || !l.wireless {
		return false
	}
	a, up := &l.air, l.flags&unix.IFF_UP != 0
	came := l.carrier && (!a.wasOn || l.downs != a.wasDowns)
	// The type changes while a link is down, on old kernels without a message.
	if a.asked == 0 || came || up && !a.wasUp {
		a.asked = t.desk.ask(l.index)
		a.until = time.Now().Add(radioPatience)
		a.named = a.named && !came
	}
	a.wasUp, a.wasOn, a.wasDowns = up, l.carrier, l.downs
	if a.unanswered(l.carrier) && time.Now().Before(a.until) {
		t.awaited[l.index] = a.until
		return true
	}
	delete(t.awaited, l.index)
	return false
}

// hear takes in what nl80211 answered.
func (t *table) hear() {
	if t.desk == nil || !t.desk.hasNews() {
		return
	}
	for index, said := range t.desk.take() {
		l := t.links[index]
		if l == nil {
			continue
		}
		a := &l.air
		a.radio, a.answered = said.radio, max(a.answered, said.number)
		if said.ssid != "" && a.answered >= a.asked {
			a.named = true
		}
		cause := l.cause
		if said.cause != "" && l.whole { // what made a new link known is its own message
			cause = said.cause
		}
		t.touch(index, cause)
	}
}

// foldWireless adds what a radio knows.
func (t *table) foldWireless(w object.Words, l *link) {
	if !l.read && t.ours {
		// /sys has another name for it already. The next message has it too;
		// until then a radio must not pass for a cable: unknown, not false.
		w["wireless"], w["iftype"], w["ssid"], w["associated"] = nil, nil, nil, nil
		return
	}
	w["wireless"] = t.texts.One(strconv.FormatBool(l.wireless))
	if t.desk != nil && l.wireless {
		t.foldAir(w, l)
	}
}

// foldAir: where nl80211 does not know the radio, the words are absent. ssid and
// associated go with the carrier, so that they never disagree with running.
func (t *table) foldAir(w object.Words, l *link) {
	a := &l.air
	if a.answered == 0 {
		w["iftype"], w["ssid"], w["associated"] = nil, nil, nil
		return
	}
	if !a.there {
		return
	}
	if a.iftype != "" {
		w["iftype"] = t.texts.One(a.iftype)
	}
	if l.carrier && a.answered < a.asked {
		w["ssid"], w["associated"] = nil, nil
		return
	}
	if l.carrier && a.ssid != "" {
		w["ssid"] = t.texts.One(a.ssid)
	}
	// nl80211 tells sooner than rtnetlink that a client has left its network.
	left := a.ssid == "" && a.named
	w["associated"] = t.texts.One(strconv.FormatBool(l.carrier && a.client() && !left))
}
