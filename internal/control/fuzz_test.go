package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
)

// However the bytes come in pieces, the messages are those between the NULs.
func FuzzInput(f *testing.F) {
	f.Add([]byte("a\x00b\x00c"), byte(1))
	f.Add([]byte("\x00\x00"), byte(7))
	f.Add([]byte(strings.Repeat("x", 5000)+"\x00"), byte(200))
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		in := newInput()
		now := time.Unix(1, 0)
		whole := data
		for len(data) > 0 {
			n := min(len(data), int(piece)+1)
			if err := in.add(data[:n], now); err != nil {
				if len(whole) <= maxMessage {
					t.Fatal(err)
				}
				return
			}
			data = data[n:]
		}
		in.end(io.EOF)
		parts := bytes.Split(whole, []byte{0})
		open := len(parts[len(parts)-1]) > 0
		for _, want := range parts[:len(parts)-1] {
			got, err := in.next()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("got %q, %v, want %q", got, err, want)
			}
		}
		if in.since().IsZero() == open {
			t.Errorf("an unended message: %v", !open)
		}
		if got, err := in.next(); err != io.EOF {
			t.Fatalf("got %q, %v after the last", got, err)
		}
	})
}

// Whatever is asked, there is one answer in good JSON, and the engine sees only
// calls that make sense.
func FuzzDispatch(f *testing.F) {
	for _, o := range Operations {
		f.Add(`{"method":"io.hotsvc.` + o.Method + `","more":true,"parameters":{"services":["a@b"],"timeout_ms":5}}`)
		f.Add(`{"method":"io.hotsvc.` + o.Method + `","more":true}`)
	}
	f.Add(`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.hotsvc"}}`)
	f.Add(`{"method":"io.hotsvc.Wait","parameters":{"services":["\u0000"],"for":"up","timeout_ms":-9223372036854775808}}`)
	f.Fuzz(func(t *testing.T, message string) {
		var m request
		if json.Unmarshal([]byte(message), &m) != nil {
			return
		}
		s := &Server{}
		s.Post = func(in engine.Input) {
			c := in.Call
			o := Find(c.Verb)
			switch {
			case o == nil:
				t.Fatalf("the engine got the verb %q", c.Verb)
			case o.Names == OneName && len(c.Services) != 1, o.Names == AllNames && len(c.Services) == 0, o.Names == NoNames && len(c.Services) != 0:
				t.Fatalf("%s got %d services", c.Verb, len(c.Services))
			case !o.Waits && c.Timeout != 0, o.Waits && c.Verb != engine.VerbWait && c.Timeout == 0:
				t.Fatalf("%s got the timeout %v", c.Verb, c.Timeout)
			}
			for _, name := range c.Services {
				if !printable(name) {
					t.Fatalf("the engine got the name %q", name)
				}
			}
			s.Deliver(engine.Reply{ID: c.ID, Value: []status.Done{{Text: "done"}}})
		}
		c := &conn{server: s, in: newInput(), caller: caller{access: Write, Peer: engine.Peer{Client: engine.Client{Pid: 1, Started: 1}}}}
		answers := 0
		c.call(context.Background(), m, func(r response) bool {
			answers++
			b, err := encode(r)
			if err != nil || bytes.IndexByte(b, 0) != len(b)-1 || !json.Valid(b[:len(b)-1]) {
				t.Fatalf("answer %q, %v", b, err)
			}
			return true
		})
		if answers != 1 || len(s.waiting) != 0 {
			t.Fatalf("%d answers, %d calls left behind", answers, len(s.waiting))
		}
	})
}
