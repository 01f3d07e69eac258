package control

import (
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
				c.refuse(err.Error())
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
func (c *conn) refuse(why string) {
	if c.caller.Client.Pid != 0 && why != errIdle.Error() {
		c.server.log("control: " + c.caller.who() + " is cut off: " + why)
	}
	code := engine.CodeDaemon
	if why == errTooLong.Error() {
		code = engine.CodeUsage
	}
	// Not much time: the accepting goroutine may be the one that waits.
	c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := encode(failed(code, why)); err == nil {
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
