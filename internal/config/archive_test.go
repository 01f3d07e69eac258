package config

import (
	"reflect"
	"testing"
	"testing/fstest"
)

// TestArchiveHasTheTrees: a journal replays where there is no tree to read.
func TestArchiveHasTheTrees(t *testing.T) {
	run := &fstest.MapFile{Data: []byte("#!/bin/sh\n"), Mode: 0o755}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	c, problems := Load(Input{
		Settings: DefaultSettings(), Mounts: []string{"/data"}, RunDir: "/run/hotsvc/sysmgr", Copies: "/run/hotsvc/service",
		Services: []Source{
			{Name: "/sv", Dialect: "runit", FS: fstest.MapFS{"sshd/run": run, "sshd/finish": run, "sshd/log/run": run, "sshd/control/t": run, "idle/run": run, "idle/down": file("")}},
			{Name: "/bh", Dialect: "backhand", FS: fstest.MapFS{"net/pre": run, "net/run": run, "net/post": run}},
			{Name: "/sm", Dialect: "sysmgr", FS: fstest.MapFS{"crond": run}},
			{Name: "/hm", Dialect: "hermit", FS: fstest.MapFS{"app.toml": file("exec_start = ['/bin/app']\nsystem_dependencies = ['TIME', 'MOUNTS']\n")}},
			{Name: "/n", FS: fstest.MapFS{"own.toml": file("exec_start = ['own']\nneeds = ['sshd']\n")}},
		},
	})
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	again, err := FromArchive(c.Archive())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sshd", "sshd/log", "idle", "net", "net@", "crond", "app", "own"} {
		if c.Services[name] == nil {
			t.Fatalf("%s was not read", name)
		}
		if !reflect.DeepEqual(again.Services[name], c.Services[name]) {
			t.Errorf("%s comes back as\n%+v, was\n%+v", name, again.Services[name], c.Services[name])
		}
	}
}
