package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
)

// conn is one caller's connection. One goroutine reads all the time, so that a
// hang-up ends a wait; another handles one message after the other.
type conn struct {
	server *Server
	nc     *net.UnixConn
	caller caller
	in     *input

	mu       sync.Mutex
	busy     bool      // a call is under way: the client may be silent
	deadline time.Time // of reading
}

// serve handles the caller's messages until he hangs up or is cut off.
func (c *conn) serve(ctx context.Context) {
	go c.read()
	for {
		message, err := c.in.next()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) {
				c.refuse(err)
			}
			return
		}
		c.setBusy(true)
		if !c.handle(ctx, message) {
			return
		}
		c.setBusy(false)
	}
}

// refuse cuts the caller off with a line that says why.
func (c *conn) refuse(why error) {
	if c.caller.Client.Pid != 0 && why != errIdle {
		c.server.log("control: " + c.caller.who() + " is cut off: " + why.Error())
	}
	code := engine.CodeDaemon
	if why == errTooLong {
		code = engine.CodeUsage
	}
	// Not much time: the accepting goroutine may be the one that waits.
	c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := encode(failed(code, why.Error())); err == nil {
		c.nc.Write(b)
	}
	c.nc.Close()
}

// send writes one message; false means that the caller did not take it.
func (c *conn) send(r response) bool {
	b, err := encode(r)
	if err != nil {
		b, err = encode(failed(engine.CodeDaemon, "the answer cannot be written: "+err.Error()))
	}
	if err != nil {
		return false
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.server.patience.message))
	_, err = c.nc.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.server.log("control: " + c.caller.who() + " is cut off: it does not read")
	}
	return err == nil
}

// read fills the input until the client hangs up, sends too much, or is silent
// for too long.
func (c *conn) read() {
	chunk := make([]byte, 4096)
	c.setBusy(false)
	for {
		n, err := c.nc.Read(chunk)
		if n > 0 {
			if err := c.in.add(chunk[:n], time.Now()); err != nil {
				c.in.end(err)
				return
			}
			c.rearm()
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if why := c.expired(); why != nil {
				c.in.end(why)
				return
			}
		case errors.Is(err, io.EOF) && c.halfOpen():
			c.in.finish()
			for c.halfOpen() {
				time.Sleep(50 * time.Millisecond)
			}
			c.in.end(io.EOF)
			return
		default:
			c.in.end(err)
			return
		}
	}
}

// halfOpen tells whether a client that sends no more still reads, as in
// `printf … | socat - UNIX-CONNECT:…`.
func (c *conn) halfOpen() bool {
	raw, err := c.nc.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(p, 0)
		open = err == nil && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0
	})
	return open
}

func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	c.busy = busy
	c.mu.Unlock()
	c.rearm()
}

// rearm sets how long the client may be silent from here on.
func (c *conn) rearm() {
	began := c.in.since()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.busy:
		c.deadline = time.Time{}
	case !began.IsZero():
		c.deadline = began.Add(c.server.patience.message)
	default:
		c.deadline = time.Now().Add(c.server.patience.idle)
	}
	c.nc.SetReadDeadline(c.deadline)
}

// expired tells why the client is cut off, or nil when a call that has begun
// meanwhile lets it be silent.
func (c *conn) expired() error {
	began := c.in.since()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.busy || time.Now().Before(c.deadline):
		return nil
	case !began.IsZero():
		return errTooSlow
	}
	return errIdle
}

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
