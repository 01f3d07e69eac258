package superdir

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	hotsvc "hotsvc/internal/status"
)

// TestStatusBytes: byte for byte as runsv(8) writes them; the live side is in
// internal/compat/runit, where Debian's sv reads ours.
func TestStatusBytes(t *testing.T) {
	s := Status{Since: time.Unix(1_700_000_000, 123_456_789), Pid: 0x01020304, Paused: true, WantUp: true, Termed: true, State: Finish}
	want := []byte{0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x07, 0x5b, 0xcd, 0x15, 4, 3, 2, 1, 1, 'u', 1, 2}
	got := s.Encode()
	if !bytes.Equal(got[:], want) {
		t.Errorf("written % x, should be % x", got, want)
	}
	back, err := Decode(want)
	if err != nil || !back.Since.Equal(s.Since) {
		t.Fatal(back, err)
	}
	if back.Since = s.Since; back != s {
		t.Errorf("read %+v, should be %+v", back, s)
	}
}

func TestStatText(t *testing.T) {
	for want, s := range map[string]Status{
		"down\n":                             {},
		"run\n":                              {State: Run, Pid: 5, WantUp: true},
		"run, paused, got TERM, want down\n": {State: Run, Pid: 5, Paused: true, Termed: true},
		"finish, want down\n":                {State: Finish, Pid: 5},
	} {
		if got := s.stat(); got != want {
			t.Errorf("%+v is %q, should be %q", s, got, want)
		}
	}
	if got := (Status{}).pid(); got != "" {
		t.Errorf("no process is %q", got)
	}
}

// TestHowRunitPutsIt: what hotsvc says of a service, in runit's three states.
func TestHowRunitPutsIt(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	pid, post := 7, "post"
	up := hotsvc.Service{State: "up", Want: "up", Since: at(3), Pid: &pid, Main: &hotsvc.Process{Pid: 7, Started: at(2)}, Terminated: true}
	finish := hotsvc.Service{State: "stopping", Substate: &post, Want: "up", Since: at(9), Pid: &pid, Paused: true, Terminated: true,
		History: []hotsvc.Change{{At: at(2), From: "down", To: "starting"}, {At: at(3), From: "starting", To: "up"}, {At: at(9), From: "up", To: "stopping"}}}
	backoff := hotsvc.Service{State: "down", Want: "down", Since: at(20),
		History: []hotsvc.Change{{At: at(9), From: "stopping", To: "backoff"}, {At: at(20), From: "backoff", To: "down"}}}
	once := up
	once.Want, once.Blocked, once.Terminated = "keep", &hotsvc.Blocked{Kind: "once"}, false
	for _, c := range []struct {
		what string
		of   hotsvc.Service
		want Status
	}{
		{"a run that was sent TERM", up, Status{State: Run, Pid: 7, Since: at(2), WantUp: true, Termed: true}},
		{"its finish, counted from the run's start", finish, Status{State: Finish, Pid: 7, Since: at(2), WantUp: true}},
		{"down since the run's end, whatever was said later", backoff, Status{Since: at(9)}},
		{"a run that is the last", once, Status{State: Run, Pid: 7, Since: at(2)}},
		{"never started", hotsvc.Service{State: "waiting", Want: "up", Since: at(1)}, Status{Since: at(1), WantUp: true}},
	} {
		if diff := cmp.Diff(c.want, Of(&c.of)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	run := Status{Since: time.Unix(1_700_000_000, 5), Pid: 812, WantUp: true, State: Run}.Encode()
	f.Add(run[:])
	f.Add(bytes.Repeat([]byte{0xff}, Size))
	f.Add(make([]byte, Size))
	f.Add([]byte("12345"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		_ = s.stat() + s.pid()
		again := s.Encode()
		back, err := Decode(again[:])
		if err != nil || !back.Since.Equal(s.Since) || back.Pid != s.Pid || back.State != s.State {
			t.Errorf("% x becomes % x", b, again)
		}
	})
}
