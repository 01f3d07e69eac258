package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/layout"
	"hotsvc/internal/livetest"
)

func TestSinceIsRead(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	defer func(was *time.Location) { time.Local = was }(time.Local)
	time.Local = zone
	now := time.Date(2026, 3, 2, 10, 30, 15, 5e8, zone)
	for text, want := range map[string]string{
		"today":                     "2026-03-02T00:00:00+01:00",
		"yesterday":                 "2026-03-01T00:00:00+01:00",
		"10m":                       "2026-03-02T10:20:15.5+01:00",
		"1h30m":                     "2026-03-02T09:00:15.5+01:00",
		"2d":                        "2026-02-28T10:30:15.5+01:00",
		"09:15":                     "2026-03-02T09:15:00+01:00",
		"09:15:07":                  "2026-03-02T09:15:07+01:00",
		"2026-02-01":                "2026-02-01T00:00:00+01:00",
		"2026-02-01 12:00":          "2026-02-01T12:00:00+01:00",
		"2026-02-01T12:00:05":       "2026-02-01T12:00:05+01:00",
		"2026-02-01T12:00:05Z":      "2026-02-01T12:00:05Z",
		"2026-02-01T12:00:05.25Z":   "2026-02-01T12:00:05.25Z",
		"2026-02-01T12:00:05+02:00": "2026-02-01T12:00:05+02:00",
		"":                          "", "noon": "", "-10m": "", "10": "", "d": "", "25:00": "", "2026-02-30": "", "99999999999d": "",
	} {
		at, ok := moment(text, now)
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestPatternsNameLogsWithoutADaemon(t *testing.T) {
	l := &layout.Layout{LogDir: t.TempDir()}
	for _, s := range []string{"dhcp@eth0", "dhcp@wan0", "getty@/dev/tty1", "ntpd", "odd[1"} {
		if err := os.Mkdir(l.ServiceLog(s), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for names, want := range map[string]string{
		"dhcp@*": "dhcp@eth0 dhcp@wan0", "ntpd dhcp@*": "ntpd dhcp@eth0 dhcp@wan0", "dhcp@w* *wan0": "dhcp@wan0",
		"getty@/dev/*": "getty@/dev/tty1", "ntp? other": "", "x*": "", "odd[1": "odd[1",
	} {
		var got []string
		for _, x := range kept(l, strings.Fields(names)) {
			if got = append(got, x.service); x.dir != l.ServiceLog(x.service) {
				t.Errorf("%s is looked for in %s", x.service, x.dir)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", names, got, want)
		}
	}
}

// Without a daemon the files are still there.
func TestLogsWithoutADaemon(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		if err := unix.Mount("tmpfs", "/var/log", "tmpfs", 0, ""); err != nil {
			t.Skip("mount: ", err)
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("HOTSVC_SOCKET", filepath.Join(t.TempDir(), "none"))
		must(os.MkdirAll("/var/log/hotsvc/a", 0o750))
		must(os.WriteFile("/var/log/hotsvc/a/current", []byte("2026-11-20T08:00:00.000000Z one\n2026-11-20T08:00:01.000000Z two"), 0o644))
		var out, err bytes.Buffer
		if code := run([]string{"logs", "a"}, &out, &err); code != 0 || !strings.HasSuffix(out.String(), "Z one\n2026-11-20T08:00:01.000000Z two\n") {
			t.Errorf("exit %d, out:\n%s%s", code, &out, &err)
		}
		if !strings.Contains(err.String(), "no daemon on ") || !strings.Contains(err.String(), "what there is in /var/log/hotsvc") {
			t.Errorf("err: %s", &err)
		}
		out.Reset()
		if code := run([]string{"logs", "?"}, &out, &err); code != 0 || !strings.HasSuffix(out.String(), "two\n") {
			t.Errorf("a pattern: exit %d, out:\n%s%s", code, &out, &err)
		}
		if code := run([]string{"logs", "b"}, &out, &err); code != 111 {
			t.Errorf("b: exit %d", code)
		}
	})
}
