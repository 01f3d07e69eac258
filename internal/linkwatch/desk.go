package linkwatch

import (
	"maps"
	"slices"
	"sync"
)

// desk is where the two sources meet: links puts questions about its radios,
// wifi answers them. nl80211 is asked in a goroutine of its own, because a
// driver may keep a request for seconds, and the other links do not wait for it.
//
// Questions are numbered: a link whose carrier came is not told with an answer
// that is older than that.
type desk struct {
	wakeWifi  func()
	wakeLinks func()

	mu     sync.Mutex
	last   uint64
	files  map[int]*file // by ifindex: every radio that was asked about and is not forgotten
	open   bool          // some file is
	news   bool          // some file has an answer
	absent bool          // nobody will ever answer
}

// file is what lies on the desk about one radio.
type file struct {
	number uint64 // of the latest question
	open   bool   // it is to be read
	cause  string // what made it be read, if no question did
	answer *answer
}

type question struct {
	index  int
	number uint64
	cause  string
}

type answer struct {
	radio
	number uint64 // of the latest question when it was read
	cause  string // what the kernel told, or "" for a question's answer
}

func newDesk() *desk {
	return &desk{files: make(map[int]*file), wakeWifi: func() {}, wakeLinks: func() {}}
}

// ask puts a question about a radio, and returns its number.
func (d *desk) ask(index int) uint64 {
	d.mu.Lock()
	d.last++
	f := d.files[index]
	if f == nil {
		f = &file{}
		d.files[index] = f
	}
	f.number, f.open, f.cause, d.open = d.last, true, "", true
	number, absent := f.number, d.absent
	d.mu.Unlock()
	if absent {
		d.say(question{index: index, number: number}, radio{})
	} else {
		d.wakeWifi()
	}
	return number
}

func (d *desk) forget(index int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, index)
}

// take returns the answers that came since.
func (d *desk) take() map[int]answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news = false
	var out map[int]answer
	for index, f := range d.files {
		if f.answer != nil {
			if out == nil {
				out = make(map[int]answer)
			}
			out[index], f.answer = *f.answer, nil
		}
	}
	return out
}

func (d *desk) hasNews() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.news
}

// reopen has a radio read again; what was never asked about is no radio of ours.
func (d *desk) reopen(index int, cause string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[index]; f != nil {
		if !f.open {
			f.cause = cause
		}
		f.open, d.open = true, true
	}
}

func (d *desk) reopenAll(cause string) {
	for _, index := range d.known() {
		d.reopen(index, cause)
	}
}

func (d *desk) known() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}

func (d *desk) hasOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// pickUp returns what is to be read now.
func (d *desk) pickUp() (out []question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = false
	for _, index := range slices.Sorted(maps.Keys(d.files)) {
		if f := d.files[index]; f.open {
			f.open = false
			out = append(out, question{index, f.number, f.cause})
		}
	}
	return out
}

// say gives the answer to a question.
func (d *desk) say(q question, r radio) {
	d.mu.Lock()
	f := d.files[q.index]
	if f != nil {
		f.answer, d.news = &answer{radio: r, number: q.number, cause: q.cause}, true
	}
	d.mu.Unlock()
	if f != nil {
		d.wakeLinks()
	}
}

// close says that nobody will ever answer: nothing is known of any radio.
func (d *desk) close() {
	d.mu.Lock()
	d.absent = true
	d.mu.Unlock()
	d.reopenAll("")
	for _, q := range d.pickUp() {
		d.say(q, radio{})
	}
}
