package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"hotsvc/internal/engine"
)

// FuzzAnswer: whatever listens on the socket, what it says is an answer, or one
// error whose status is one of hsctl's; and the answers are those between NULs.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("{\"parameters\":{\"services\":[]},\"continues\":true}\x00{\"error\":\"io.hotsvc.No\",\"parameters\":{\"text\":\"x\",\"about\":{}}}\x00"), 3)
	f.Add([]byte("{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":null}\x00{\"error\":\"io.hotsvc.Timeout\"}\x00"), 16)
	f.Add([]byte("null\x00[]\x00{\"parameters\":[]}\x00HTTP/1.1 400\r\n\x00\x00"), 4096)
	f.Fuzz(func(t *testing.T, said []byte, room int) {
		c := &Client{socket: "s", r: bufio.NewReaderSize(bytes.NewReader(said), room&4095)}
		parts := bytes.Split(said, []byte{0})
		for range parts[:len(parts)-1] {
			fields, _, err := c.receive()
			var e *Error
			switch {
			case err == nil:
			case !errors.As(err, &e):
				t.Fatalf("%q: %v", said, err)
			case e.Code == engine.CodeYes || e.Error() == "" && e.Code == engine.CodeDaemon:
				t.Fatalf("%q: %d %q", said, e.Code, e.Text)
			}
			for name, value := range fields {
				if !json.Valid(value) {
					t.Errorf("%s: %q", name, value)
				}
			}
		}
		if _, _, err := c.receive(); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
	})
}
