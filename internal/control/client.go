package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// maxReply is the longest answer that a client takes: a report of many
// thousand services.
const maxReply = 64 << 20

// Error is how a call failed. Its code is hsctl's exit status.
type Error struct {
	Code engine.Code
	Text string
	Lost bool // the connection broke before the answer: a daemon may answer yet
	Busy bool // there was no room for the connection, so nothing was done
}

// Error is the line for people.
func (e *Error) Error() string { return e.Text }

// Client talks to a daemon over one connection, one call at a time.
type Client struct {
	nc     net.Conn
	r      *bufio.Reader
	socket string
}

// Dial connects to the daemon that listens on a socket.
func Dial(ctx context.Context, socket string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", socket)
	switch {
	case err == nil:
		return &Client{nc, bufio.NewReader(nc), socket}, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return nil, &Error{Code: engine.CodeDaemon, Lost: true,
			Text: "no daemon on " + socket + ": start hotsvc, or name its socket with --socket"}
	case errors.Is(err, fs.ErrPermission):
		return nil, &Error{Code: engine.CodeDenied,
			Text: "not permitted to ask the daemon on " + socket + ": be root, or in the socket's group"}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return nil, &Error{Code: engine.CodeDaemon, Text: "cannot ask the daemon on " + socket + ": " + err.Error()}
}

// Close ends the connection; a wait that is under way ends with it.
func (c *Client) Close() error { return c.nc.Close() }

// Call asks and waits for the answer, which goes to into unless that is nil.
// When the call fails, into holds what the daemon could tell even so. The error
// is an *Error.
func (c *Client) Call(ctx context.Context, verb engine.Verb, p Params, into any) error {
	op := Find(verb)
	if op == nil {
		return &Error{Code: engine.CodeUsage, Text: fmt.Sprintf("there is no operation %q", verb)}
	}
	return c.roundTrip(ctx, Interface+"."+op.Method, false, p, func(fields map[string]json.RawMessage) error {
		if into == nil || fields[op.Field] == nil {
			return nil
		}
		return json.Unmarshal(fields[op.Field], into)
	})
}

// Monitor calls each with what changes, until ctx ends, each fails, or the
// daemon goes away.
func (c *Client) Monitor(ctx context.Context, patterns []string, each func([]status.Change) error) error {
	return stream(ctx, c, engine.VerbMonitor, Params{Services: patterns}, each)
}

// Record calls each with the journal, piece by piece, until ctx ends, each fails,
// or the daemon goes away.
func (c *Client) Record(ctx context.Context, each func(string) error) error {
	return stream(ctx, c, engine.VerbRecord, Params{}, each)
}

func stream[T any](ctx context.Context, c *Client, verb engine.Verb, p Params, each func(T) error) error {
	op := Find(verb)
	return c.roundTrip(ctx, Interface+"."+op.Method, true, p, func(fields map[string]json.RawMessage) error {
		var part T
		if err := json.Unmarshal(fields[op.Field], &part); err != nil {
			return err
		}
		return each(part)
	})
}

// AwaitEnd returns when the daemon has ended the connection.
func (c *Client) AwaitEnd(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if _, _, err := c.receive(); err != nil {
			return
		}
	}
}

// Version asks the daemon which one it is.
func (c *Client) Version(ctx context.Context) (version string, err error) {
	err = c.roundTrip(ctx, serviceInterface+".GetInfo", false, nil, func(fields map[string]json.RawMessage) error {
		return json.Unmarshal(fields["version"], &version)
	})
	return version, err
}

// roundTrip sends one call and gives every answer to take.
func (c *Client) roundTrip(ctx context.Context, method string, more bool, parameters any, take func(map[string]json.RawMessage) error) error {
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := json.Marshal(parameters)
	if err != nil {
		return &Error{Code: engine.CodeUsage, Text: err.Error()}
	}
	message, err := encode(request{Method: method, Parameters: raw, More: more})
	if err != nil {
		return &Error{Code: engine.CodeUsage, Text: err.Error()}
	}
	if len(message) > maxMessage {
		return &Error{Code: engine.CodeUsage, Text: "the question is longer than 1 MiB"}
	}
	// A daemon that refuses the connection may have written why and hung up, so
	// the answer is read even if nobody took the question.
	_, sent := c.nc.Write(message)
	for {
		fields, continues, err := c.receive()
		if err == nil {
			if err := take(fields); err != nil {
				return asError(err)
			}
			if !continues {
				return nil
			}
			continue
		}
		var failed *Error
		if errors.As(err, &failed) {
			if fields != nil {
				take(fields) // best effort: the error is what counts
			}
			return failed
		}
		if sent != nil {
			err = sent
		}
		return c.broken(ctx, err)
	}
}

// receive reads one answer. The error is an *Error when the daemon sent one.
func (c *Client) receive() (fields map[string]json.RawMessage, continues bool, err error) {
	message, err := readMessage(c.r, maxReply)
	if err != nil {
		return nil, false, err
	}
	var r struct {
		Parameters json.RawMessage `json:"parameters"`
		Continues  bool            `json:"continues"`
		Error      string          `json:"error"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return nil, false, notVarlink(err)
	}
	if r.Error != "" {
		return c.failure(r.Error, r.Parameters)
	}
	if len(r.Parameters) > 0 {
		if err := json.Unmarshal(r.Parameters, &fields); err != nil {
			return nil, false, notVarlink(err)
		}
	}
	return fields, r.Continues, nil
}

// failure is the daemon's error as an *Error, with what it tells beside.
func (c *Client) failure(name string, parameters json.RawMessage) (map[string]json.RawMessage, bool, error) {
	code, ours := errorCode(name)
	if !ours {
		return nil, false, &Error{Code: engine.CodeUsage,
			Text: fmt.Sprintf("the daemon does not understand the question (%s %s): is it of another version?", name, parameters)}
	}
	var f struct {
		Text  string                     `json:"text"`
		About map[string]json.RawMessage `json:"about"`
	}
	if err := json.Unmarshal(parameters, &f); err != nil {
		return nil, false, notVarlink(err)
	}
	return f.About, false, &Error{Code: code, Text: f.Text, Busy: f.Text == errBusy.Error()}
}

// broken says why there is no answer.
func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Code: engine.CodeDaemon, Text: "the daemon on " + c.socket + " does not answer: look at its log"}
	case ctx.Err() != nil:
		return &Error{Code: engine.CodeNo, Text: "interrupted"}
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return &Error{Code: engine.CodeDaemon, Lost: true,
			Text: "the daemon on " + c.socket + " went away before it answered: look at its log, then ask again"}
	}
	return &Error{Code: engine.CodeDaemon, Text: "the daemon on " + c.socket + ": " + err.Error()}
}

func notVarlink(err error) error {
	return &Error{Code: engine.CodeDaemon, Text: "what answers there is no hotsvc: " + err.Error()}
}

func asError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: engine.CodeDaemon, Text: "the answer cannot be used: " + err.Error()}
}

// readMessage reads up to the next NUL.
func readMessage(r *bufio.Reader, limit int) ([]byte, error) {
	var message []byte
	for {
		part, err := r.ReadSlice(0)
		message = append(message, part...)
		switch {
		case err == nil:
			return message[:len(message)-1], nil
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(message) > limit:
			return nil, fmt.Errorf("an answer of more than %d MiB", limit>>20)
		}
	}
}
