package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/object"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

var then = time.Date(2026, 11, 20, 10, 31, 2, 123456789, time.UTC)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v): look, then run go test -update; got:\n%s", file, err, got)
	}
}

func ptr[T any](v T) *T { return &v }

// sample is a report with all that can be said.
func sample() *status.Report {
	at := func(seconds int) time.Time { return then.Add(time.Duration(seconds) * time.Second) }
	full := status.Service{
		Name: "dhcp@wan0", Template: ptr("dhcp@"), Instance: ptr("wan0"), Description: "DHCP client on wan0", Type: "daemon",
		State: "starting", Substate: ptr("pre"), Want: "up", Since: at(0), Pid: ptr(812), Main: &status.Process{Pid: 812, Started: at(-1)},
		Reason: "need supplicant@wan0 is up", Restarts: 3, Failures: 1,
		Exit:      &status.Exit{Signal: ptr("KILL"), At: at(-30), What: "main"},
		NextStart: ptr(at(65)),
		Holds: []status.Hold{
			{Holder: "rule:wired-dhcp", Object: ptr("link:3:wan0"), With: ptr("link { name = \"br0\" }"), Count: 1, Since: at(-60),
				LingerUntil: ptr(at(70)), Where: ptr("rules.d/50-wired.toml:4"), Cause: ptr("rtnetlink newlink")},
			{Holder: "uid:1000", Count: 3, Since: at(-600)},
			{Holder: "rule:other", Object: ptr("link:3:wan0"), Count: 1, Since: at(-5), Provisional: true, Suppressed: ptr(at(90)), Settling: ptr(at(61))},
		},
		Blocked:    &status.Blocked{By: "uid:0", Kind: "stop", Since: at(-10), UntilGone: []string{"link:3"}},
		Gates:      []status.Gate{{Text: "clock { synchronized = true }", Open: ptr(true)}, {Text: "MOUNTS", Open: ptr(false)}, {Text: "link { name = \"x\" }"}},
		WaitingFor: []status.Waiting{{Kind: "needs", What: "supplicant@wan0"}, {Kind: "udev"}},
		Needs:      []string{"supplicant@wan0"}, NeededBy: []string{"ntpd", "vpn"}, Primary: ptr("link:3:wan0"),
		LogTo: "file", Log: ptr("/var/log/hotsvc/dhcp@wan0/current"), Definition: &status.Definition{File: "/etc/hotsvc/services/dhcp@.toml", Line: 1},
		History: []status.Change{{Service: "dhcp@wan0", At: at(-1), From: "down", To: "starting", Reason: "rule wired-dhcp", Count: 9}},
		LogTail: []string{"udhcpc: started", "udhcpc: \x1b]0;evil\x07 broadcasting"},
	}
	void := status.Service{
		Name: "dnsmasq", Type: "daemon", State: "down", Want: "down", Since: at(-7200), Reason: "nothing holds it",
		Holds: []status.Hold{}, Gates: []status.Gate{}, WaitingFor: []status.Waiting{}, Needs: []string{}, NeededBy: []string{},
		History: []status.Change{}, LogTail: []string{},
	}
	return &status.Report{
		Schema: 1, Version: "1.0", BootID: "b00t", Degraded: []string{"no cgroups: processes that leave their session are not found"},
		Suspended: ptr("uid:0"), Services: []status.Service{full, void},
		Sources: []object.SourceStatus{
			{Name: "uevent", State: object.Synced, Events: 412},
			{Name: "link", State: object.Resyncing, Resyncs: 2, Events: 99, Lost: 1, Refused: 3},
			{Name: "mount", State: object.Failed, Error: "open /proc/self/mountinfo: permission denied"},
			{Name: "clock", State: object.Absent},
		},
		Config: status.Config{Generation: 1, Loaded: at(-9000), Problems: []toml.Problem{
			{Pos: toml.Pos{File: "rules.d/50-wired.toml", Line: 4, Col: 1}, Text: `"requires": did you mean require?`}}},
	}
}

func quiet() (*app, *bytes.Buffer) {
	var out bytes.Buffer
	return &app{out: &out, err: &out, now: func() time.Time { return then.Add(time.Minute) }}, &out
}

// The JSON is what scripts read: every key is there, void is null.
func TestStatusJSON(t *testing.T) {
	raw, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	a, out := quiet()
	if err := a.printJSON(json.RawMessage(raw)); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.json", out.Bytes())

	// The keys of a service about which nothing is to be said are those of one
	// about which everything is.
	var report struct{ Services []map[string]any }
	if err := json.Unmarshal(raw, &report); err != nil {
		t.Fatal(err)
	}
	for key := range report.Services[0] {
		if _, ok := report.Services[1][key]; !ok {
			t.Errorf("the key %q comes and goes", key)
		}
	}
}

func TestStatusText(t *testing.T) {
	time.Local = time.UTC
	a, out := quiet()
	a.printStatus(nil, sample())
	golden(t, "status.txt", out.Bytes())

	a, out = quiet()
	one := sample()
	one.Services = one.Services[:1]
	a.printStatus([]string{"dhcp@wan0"}, one)
	golden(t, "one.txt", out.Bytes())
	if strings.ContainsAny(out.String(), "\x1b\x07") {
		t.Error("what a service writes reaches the terminal as it is")
	}
}

func TestWhyText(t *testing.T) {
	a, out := quiet()
	a.printWhy(status.Why{Service: "dhcp@wan0", State: "up", Running: true, Chain: []status.Step{
		{What: "event", Text: "rtnetlink newlink at 10:31:02.123"},
		{What: "object", Text: "link:3:wan0 type=ether carrier=true running=true"},
		{What: "rule", Text: "wired-dhcp (rules.d/50-wired.toml:4): match { running = true }"},
		{What: "hold", Text: "rule:wired-dhcp holds dhcp@wan0 (lingers for 5s)"},
		{What: "transition", Text: "starting → up at 10:31:02.456: started"},
	}})
	a.printWhy(status.Why{Service: "supplicant@wlan0", State: "up", Running: true, Chain: []status.Step{
		{What: "hold", Text: "uid:0 holds supplicant@wlan0"},
		{What: "need", Text: "dhcp@wlan0 needs supplicant@wlan0"},
		{What: "event", Text: "uevent add at 10:31:02.123"},
		{What: "object", Text: "link:4:wlan0"},
		{What: "rule", Text: "wifi (rules.d/60-wifi.toml:2): match { wireless = true }"},
		{What: "hold", Text: "rule:wifi holds dhcp@wlan0"},
		{What: "transition", Text: "starting → up at 10:31:02.456: started"},
	}})
	a.printWhy(status.Why{Service: "supplicant@wlan0", State: "failed",
		Unmet: ptr("it failed: wpa_supplicant: not found"), Remedy: ptr("install it; it is tried again then"),
		Chain: []status.Step{{What: "hold", Text: "uid:0 holds supplicant@wlan0"}}, Dependents: []string{"dhcp@wlan0", "ntpd"}})
	golden(t, "why.txt", out.Bytes())
}

func TestMonitorShowsGaps(t *testing.T) {
	time.Local = time.UTC
	a, out := quiet()
	counts := map[string]int64{}
	for _, n := range []int64{3, 4, 9} {
		if err := a.printChange(status.Change{Service: "a", At: then, From: "up", To: "down", Reason: "r", Count: n}, counts); err != nil {
			t.Fatal(err)
		}
	}
	want := "10:31:02.123 a up → down: r\n10:31:02.123 a up → down: r\n10:31:02.123 a up → down: r (4 before it not shown)\n"
	if out.String() != want {
		t.Errorf("got %q", out)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Minute: "1m00s", 599 * time.Second: "9m59s",
		59 * time.Minute: "59m", 119 * time.Minute: "1h59m", 47 * time.Hour: "47h", 49 * time.Hour: "2d01h", 9999 * time.Hour: "416d",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// A name from outside comes to a script as it is, and does nothing to a terminal.
func TestJSONLeavesNothingToObey(t *testing.T) {
	var out strings.Builder
	a := &app{out: &out}
	name := "a\x1b[2J\n\u009b31m\u202e\U000e0001 wörld → 𝄞 <&>\x7f"
	if err := a.encode(map[string]string{"name": name}, ""); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"a\u001b[2J\n\u009b31m\u202e\udb40\udc01 wörld → 𝄞 <&>\u007f"}` + "\n"
	var back map[string]string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || back["name"] != name || out.String() != want {
		t.Errorf("%s%q %v", out.String(), back, err)
	}
}

func TestCleanAndCut(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "wörld →": "wörld →", "a\x1b[31mb": `a\x1b[31mb`, "a\nb": `a\nb`, "a\xffb": `a\xffb`, "\u202ex": `\u202ex`, "it's": "it's",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := cut("abcdef", 4); got != "abc…" {
		t.Error(got)
	}
}
