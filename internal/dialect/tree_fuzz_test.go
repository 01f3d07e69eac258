package dialect

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hotsvc/internal/service"
)

// FuzzRead: whatever lies in a tree, what is found has names that services can
// have, each once; what can run has a command, what cannot says why; and every
// problem is one line about a file of the tree.
func FuzzRead(f *testing.F) {
	for _, tree := range []string{ // entries, with what is in them after a colon
		"+a/run +a/finish a/down +a/log/run +a/control/t +a/control/u",
		"+a/pre +a/run b/post",
		"a.toml:id='b'\vexec_start=['x'] b.toml:exec_start=['y']",
		"+a:#!/bin/sh +a~ +b@ #x c.bak",
		"+a@/run a/log:x +a/run +../x/run run",
	} {
		for i := range 5 {
			f.Add(tree, byte(i))
		}
	}
	all := append([]service.Dialect{""}, service.Dialects...)
	f.Fuzz(func(t *testing.T, text string, which byte) {
		tree := fstest.MapFS{}
		for entry := range strings.SplitSeq(text, " ") {
			name, data, _ := strings.Cut(entry, ":")
			name, executable := strings.CutPrefix(name, "+")
			if !fs.ValidPath(name) || slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(p string) bool { return p != "." && tree[p] != nil }) {
				continue // no system could have it
			}
			tree[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(data, "\v", "\n")), Mode: 0o644}
			if executable {
				tree[name].Mode = 0o755
			}
		}
		found := Read(Tree{Name: "/sv", FS: tree, Dialect: all[int(which)%len(all)], Copies: "/run/c", RunDir: "/run/d", Mounts: []string{"/x"}})
		seen := map[string]bool{}
		for _, d := range found.Definitions {
			name, logger := strings.CutSuffix(d.Name, "/log")
			if service.IsTemplate(name) {
				name += "x"
			}
			if wrong := service.CheckName(name); wrong != "" || seen[d.Name] || logger && d.Dialect != service.Runit {
				t.Errorf("%q: %s, found before: %v", d.Name, wrong, seen[d.Name])
			}
			seen[d.Name] = true
			runs := len(d.Exec.Start)+len(d.Exec.Pre)+len(d.Exec.Post) > 0
			if !runs && d.Broken == "" && !d.Masked && d.Dialect != service.Backhand || d.Broken != "" && !d.Masked {
				t.Errorf("%s neither runs nor says why: %+v", d.Name, d)
			}
			if !slices.Contains(found.Dialects, d.Dialect) {
				t.Errorf("%s is of %s, and that is not said", d.Name, d.Dialect)
			}
			d.ExecHash()
		}
		for _, p := range found.Problems {
			if strings.Contains(p.Text, "\n") || p.Pos.File != "/sv" && !strings.HasPrefix(p.Pos.File, "/sv/") {
				t.Errorf("%q", p)
			}
		}
	})
}

// FuzzCut: a dialect in front of a directory is found again, and nothing is lost.
func FuzzCut(f *testing.F) {
	f.Add("runit:/etc/sv")
	f.Add("hermit:")
	f.Add("s6:a:b")
	f.Fuzz(func(t *testing.T, text string) {
		d, dir := Cut(text)
		if d == "" && dir != text || d != "" && string(d)+":"+dir != text {
			t.Errorf("%q is %q and %q", text, d, dir)
		}
		for _, want := range service.Dialects {
			if d, dir := Cut(string(want) + ":" + text); d != want || dir != text {
				t.Errorf("%s:%s is %q and %q", want, text, d, dir)
			}
		}
	})
}
