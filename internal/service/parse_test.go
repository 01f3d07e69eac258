package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hotsvc/internal/match"
)

const everything = `
description = "all keys"
exec_start = ["udhcpc", "-f", "-R", "-i", "{instance}"]
exec_start_pre = ["true"]
exec_start_pre_timeout = "11s"
exec_stop = ["a", 'b"c']
exec_stop_post = ["post", "{name}"]
type = "daemon"
ready = "check"
check = ["check", "{{x}"]
check_every = "2s"
start_timeout = "1m30s"
restart = "on-failure"
backoff = { first = "1s", max = "1h", reset_after = "11s" }
give_up = { failures = 3, within = "2m" }
stop_signal = "SIGINT"
shutdown_timeout = "3s"
kill_mode = "main"
reload_signal = "HUP"
needs = ["fw"]
wants = ["log@{instance}"]
after = ["supplicant@{instance}"]
gate = [{ object = "link", match = { name = "{instance}" }, once = true, absent = true, linger = "1s" }]
system_dependencies = ["TIME", "MOUNTS"]
user = "nobody"
group = "nogroup"
groups = ["audio"]
umask = "027"
nice = -5
limits = { nofile = "1024:4096", core = "unlimited", nproc = 5 }
env = { B = "2", A = "{ATTR{idVendor}}" }
env_file = ["/etc/default/x"]
cwd = "/var"
capabilities = ["net_admin", "CAP_NET_RAW"]
no_new_privileges = true
log = "none"
`

func TestRoundTrip(t *testing.T) {
	for _, text := range []string{
		everything,
		`exec_start = ["x"]`,
		"type = 'oneshot'\nexec_start = ['x']\ncapabilities = []\nready = 'started'",
		"exec_start = ['x']\nlog = 'syslog'",
		"exec_start = ['x']\nlog = { max_size = '64kB', keep = 0, max_age = '7d', stamp = 'tai64n' }",
		"exec_start = ['x']\nlog = { max_size = 0 }",
	} {
		d, problems := Parse("all@", "all@.toml", []byte(text), []string{"/home", "/a*{b"})
		for _, p := range problems {
			if !p.Warning {
				t.Error(p)
			}
		}
		again, problems := Parse("all@", "all@.toml", []byte(d.String()), []string{"/home", "/a*{b"})
		for _, p := range problems {
			t.Error(p)
		}
		d.Refs, again.Refs, d.Outside, again.Outside = nil, nil, nil, nil // have places
		same := cmp.Comparer(func(a, b match.Cond) bool { return a.String() == b.String() })
		if diff := cmp.Diff(d, again, same); diff != "" {
			t.Error(diff)
		}
		if d.ExecHash() != again.ExecHash() {
			t.Error("the same exec part has two hashes")
		}
	}
}

func TestExecHash(t *testing.T) {
	hash := func(text string) uint64 {
		d, _ := Parse("x", "x.toml", []byte(text), nil)
		return d.ExecHash()
	}
	base := hash(`exec_start = ["x"]`)
	for _, same := range []string{"exec_start = [\n'x',\n] # comment", "description = 'd'\nexec_start = ['x']\nneeds = ['fw']\nstop_signal = 'INT'"} {
		if hash(same) != base {
			t.Errorf("%s: another hash", same)
		}
	}
	for _, other := range []string{`exec_start = ["x", ""]`, "exec_start = ['x']\nuser = 'u'", "exec_start = ['x']\nenv = { A = '' }"} {
		if hash(other) == base {
			t.Errorf("%s: the same hash", other)
		}
	}
}
