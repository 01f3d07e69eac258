package dialect

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"hotsvc/internal/service"
)

// FuzzRead: whatever lies in a tree, what is found has names that services can
// have, each once; what can run has a command, what cannot says why; and every
// problem is one line about a file of the tree.
func FuzzRead(f *testing.F) {
	for _, tree := range []string{
		"-- +x a/run --\n-- +x a/finish --\n-- a/down --\n-- +x a/log/run --\n-- +x a/control/t --\n-- +x a/control/u --\n",
		"-- +x a/pre --\n-- +x a/run --\n-- b/post --\n",
		"-- a.toml --\nid = 'b'\nstart = ['x']\n-- b.toml --\nstart = 'y'\n",
		"-- +x a --\n#!/bin/sh\n-- +x a~ --\n-- +x b@ --\n-- #x --\n-- c.bak --\n",
		"-- +x a@/run --\n-- a/log --\nx\n-- +x a/run --\n-- +x ../x/run --\n-- run --\n",
	} {
		for i := range 5 {
			f.Add(tree, byte(i))
		}
	}
	all := append([]service.Dialect{""}, service.Dialects...)
	f.Fuzz(func(t *testing.T, text string, which byte) {
		tree := fstest.MapFS{}
		for _, part := range txtar.Parse([]byte(text)).Files {
			name, executable := strings.CutPrefix(part.Name, "+x ")
			if !fs.ValidPath(name) || slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(p string) bool { return p != "." && tree[p] != nil }) {
				continue // no system could have it
			}
			tree[name] = &fstest.MapFile{Data: part.Data, Mode: 0o644}
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
