package control

import (
	"sync"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// mailbox is where the engine leaves the replies to one call. Leaving one never
// blocks, and what waits is bounded: of a stream of changes only the newest of
// each service is kept, and its count shows how many were skipped (S50).
type mailbox struct {
	mu      sync.Mutex
	changes []status.Change
	at      map[string]int // where a service stands in changes
	last    *engine.Reply
	bell    chan struct{}
}

func newMailbox() *mailbox { return &mailbox{bell: make(chan struct{}, 1)} }

func (m *mailbox) put(r engine.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer ring(m.bell)
	if !r.More {
		if m.last == nil {
			m.last = &r
		}
		return
	}
	switch v := r.Value.(type) {
	case status.Change:
		m.change(v)
	case []status.Change:
		for _, c := range v {
			m.change(c)
		}
	}
}

func (m *mailbox) change(c status.Change) {
	if i, ok := m.at[c.Service]; ok {
		m.changes[i] = c
		return
	}
	if m.at == nil {
		m.at = make(map[string]int)
	}
	m.at[c.Service] = len(m.changes)
	m.changes = append(m.changes, c)
}

// take empties the box: the changes so far, and the last reply once it is there.
func (m *mailbox) take() ([]status.Change, *engine.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes := m.changes
	m.changes, m.at = nil, nil
	return changes, m.last
}
