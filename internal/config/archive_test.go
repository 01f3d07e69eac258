package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
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

// TestArchiveHasWhatIsWrongOutsideOfTheText: what a file names was not to be
// believed, or the file itself was not; a journal replays without it, too.
func TestArchiveHasWhatIsWrongOutsideOfTheText(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	c, problems := Load(Input{
		Settings: DefaultSettings(),
		Rules: []Source{{Name: "/r", FS: fstest.MapFS{
			"a.toml": file("[[rule]]\nname = 'a'\nobject = 'link'\nrequire = ['good']\n"),
			"b.toml": file("[[rule]]\nname = 'b'\nobject = 'link'\nrequire = ['doubted', 'looked']\n"),
		}}},
		Services: []Source{{Name: "/s", FS: fstest.MapFS{
			"good.toml": file("exec_start = ['good']\n"), "doubted.toml": file("exec_start = ['x']\n"), "looked.toml": file("exec_start = ['y']\nenv_file = ['/e']\n"),
		}, Trust: func(name string) error {
			if name == "doubted.toml" {
				return errors.New("anybody may write it")
			}
			return nil
		}}},
		Look: func(d *service.Definition) []toml.Problem {
			pos := toml.Pos{File: d.Pos.File, Line: 2, Col: 1}
			if d.Name == "looked" {
				return []toml.Problem{{Pos: pos, Text: "/e: anybody may write it"}}
			}
			return []toml.Problem{{Pos: pos, Text: "a warning", Warning: true}}
		},
	})
	if text := lines(problems); !strings.Contains(text, "/s/doubted.toml: anybody may write it") || !strings.Contains(text, "/s/looked.toml:2:1: /e: anybody") {
		t.Fatal(text)
	}
	again, err := FromArchive(c.Archive())
	if err != nil {
		t.Fatal(err)
	}
	if summary(again) != summary(c) {
		t.Errorf("%s\nthen\n%s", summary(c), summary(again))
	}
	for name, d := range c.Services {
		if !reflect.DeepEqual(again.Services[name], d) {
			t.Errorf("%s comes back as\n%+v, was\n%+v", name, again.Services[name], d)
		}
	}
	if string(again.Archive()) != string(c.Archive()) {
		t.Errorf("%s\nthen\n%s", c.Archive(), again.Archive())
	}
	if strings.Contains(string(c.Archive()), "exec_start = ['x']") {
		t.Error("what is not to be believed is in it")
	}
}
