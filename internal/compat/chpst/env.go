package chpst

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// unset takes a variable out of the environment; the order of the others stays.
func (p *process) unset(name string) {
	p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
}

// set puts a variable at the end of the environment.
func (p *process) set(name, value string) {
	p.unset(name)
	p.env = append(p.env, name+"="+value)
}

// setFrom sets what the files of a directory say: each a variable by its name,
// to its first line. An empty file unsets it.
func (p *process) setFrom(dir string, skipDirs bool) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return p.fatal("cannot read the directory", err)
	}
	for _, f := range files {
		name := f.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.IsDir() && skipDirs {
			p.warn(path + " is a directory: skipped")
			continue
		}
		text, err := read(path)
		if err != nil {
			return p.fatal("cannot read a variable", err)
		}
		if len(text) == 0 {
			p.unset(name)
			continue
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		line = bytes.TrimRight(line, " \t")
		p.set(name, string(bytes.ReplaceAll(line, []byte{0}, []byte("\n"))))
	}
	return nil
}

// read returns what a file holds; one that nobody writes to must not keep it.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func envdir(p *process, args []string) error {
	if len(args) < 2 {
		return p.usage("")
	}
	if err := p.setFrom(args[0], false); err != nil {
		return err
	}
	return p.become(args[1], args[1:])
}
