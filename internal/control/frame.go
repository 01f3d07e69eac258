package control

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// maxMessage is how much may wait to be read of one connection, be it one long
// message or several short ones.
const maxMessage = 1 << 20

var (
	errTooLong = errors.New("more than 1 MiB without being one message")
	errTooSlow = errors.New("a message that did not end in time")
	errIdle    = errors.New("idle")
)

// input collects what a client sends and cuts it into messages. Bytes are taken
// in even while a call waits for its answer, for only so is a hang-up noticed.
type input struct {
	mu       sync.Mutex
	buf      []byte
	messages int       // ended messages in buf
	partial  time.Time // when the unended message at the end of buf began
	err      error     // why nothing more comes
	over     bool      // the client has said that it sends no more, but it still reads

	bell chan struct{} // rings when messages or err may have changed
	gone chan struct{} // closed when nothing more comes
}

func newInput() *input {
	return &input{bell: make(chan struct{}, 1), gone: make(chan struct{})}
}

// add takes bytes in. It fails when the client has sent too much.
func (in *input) add(p []byte, now time.Time) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.buf)+len(p) > maxMessage {
		return errTooLong
	}
	in.buf = append(in.buf, p...)
	ended := bytes.Count(p, []byte{0})
	in.messages += ended
	switch {
	case p[len(p)-1] == 0:
		in.partial = time.Time{}
	case ended > 0 || in.partial.IsZero():
		in.partial = now
	}
	if ended > 0 {
		ring(in.bell)
	}
	return nil
}

// end says that nothing more comes.
func (in *input) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		in.err = err
		close(in.gone)
		ring(in.bell)
	}
}

// finish says that the client sends no more but still waits for answers.
func (in *input) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
	ring(in.bell)
}

// next returns the next message without its NUL. It waits for one; after the
// last one it returns why there are no more.
func (in *input) next() ([]byte, error) {
	for {
		in.mu.Lock()
		if in.messages > 0 {
			n := bytes.IndexByte(in.buf, 0)
			message := bytes.Clone(in.buf[:n])
			in.messages--
			if in.buf = in.buf[n+1:]; len(in.buf) == 0 {
				in.buf = nil // a long message is not kept alive by silence
			}
			in.mu.Unlock()
			return message, nil
		}
		err := in.err
		if in.over {
			err = io.EOF
		}
		in.mu.Unlock()
		if err != nil {
			return nil, err
		}
		<-in.bell
	}
}

// since tells when the message began that has not ended yet; zero for none.
func (in *input) since() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.messages > 0 {
		return time.Time{}
	}
	return in.partial
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
