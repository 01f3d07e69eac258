package dialect

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// hermit: NAME.toml with hermit's keys, one of which gives the service a name
// other than the file's.

// maxFile bounds a file: what is longer is not one of ours.
const maxFile = 1 << 20

// hermitSign tells whether one of the files has the key that only hermit's have.
func (r *reader) hermitSign() bool {
	for _, name := range r.files {
		data, err := r.readFile(name)
		if err != nil || !strings.Contains(string(data), "id") || r.doubt(name) != nil {
			continue
		}
		if root, _ := toml.Parse(r.path(name), data); root.Get("id") != nil {
			return true
		}
	}
	return false
}

func (r *reader) readFile(name string) ([]byte, error) {
	info, err := fs.Stat(r.FS, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	}
	f, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("it is longer than a megabyte")
	}
	return data, err
}

func (r *reader) hermit() {
	byName := map[string]*service.Definition{}
	for _, file := range r.files {
		def := r.hermitFile(file)
		if def == nil {
			continue
		}
		if first := byName[def.Name]; first != nil {
			r.problems.Errorf(def.Pos, "the service %s stands in %s too: give one of them another id", def.Name, first.Pos.File)
			continue
		}
		byName[def.Name] = def
		r.add(def)
	}
}

// hermitFile reads one file. Where it has an error, a service of the file's name
// is known, and says so.
func (r *reader) hermitFile(file string) *service.Definition {
	def := r.define(strings.TrimSuffix(file, suffix), service.Hermit, file)
	if r.doubted(def, file) {
		return nil
	}
	data, err := r.readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	problems := []toml.Problem{{Pos: def.Pos, Text: "cannot be read"}}
	if err == nil {
		p := &def.Policy
		p.BackoffFirst, p.BackoffMax = time.Second, time.Second
		p.StartAtBoot = true
		problems = service.ParseHermit(def, data, r.Mounts)
	} else {
		problems[0].Text += ": " + bare(err).Error()
	}
	if r.problems.Add(problems...); toml.HasErrors(problems) {
		def.Masked, def.Broken = true, "its file has a problem: "+r.path(file)
		if service.CheckName(def.Name) != "" {
			def.Name = strings.TrimSuffix(file, suffix)
		}
	}
	return def
}
