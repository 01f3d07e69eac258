package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	shippedrules "hotsvc/rules"
	shippedservices "hotsvc/services"

	"hotsvc/internal/dialect"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// maxFile bounds a file: what is longer is not one of ours.
const maxFile = 1 << 20

// Source is one directory.
type Source struct {
	Name    string // as people type it: "/etc/hotsvc/rules.d"
	FS      fs.FS
	Dialect service.Dialect // of services; "": the contents decide

	// Identity tells directories of one name apart that followed each other.
	Identity func(dir string) uint64

	// Trust returns why a file or directory of FS is not to be believed, such as
	// that anybody may write to it, and what to do. Nil believes all.
	Trust func(name string) error
}

// Input is where a configuration comes from. Later directories override earlier
// ones: rules by file name, services by service name.
type Input struct {
	Settings Settings
	Rules    []Source
	Services []Source
	Mounts   []string // mount points that MOUNTS waits for
	Copies   string   // below it linked service directories have copies of their own
	RunDir   string   // $RUNDIR of sysmgr's services

	// Find returns where a program, or a file with an absolute name, is; "" if
	// nowhere. It chooses among the shipped variants of a service. Nil finds
	// nothing.
	Find func(name string) string

	// Look returns what a start of a service would miss now, or not believe, of
	// what its definition names outside of the configuration. Nil misses nothing.
	Look func(*service.Definition) []toml.Problem

	// Claim makes a directory of runit's this daemon's own. Its error says why
	// that cannot be and what to do; then the service is Broken. It may be nil.
	Claim func(dir string) error

	Problems []toml.Problem // found before, in hotsvc.toml
	Was      *Config        // in force: what is broken in a tree now stays as it was there; nil: nothing

	// Strict refuses the whole if anything native is wrong. Without it only the
	// files with a problem are left out.
	Strict bool

	rescan bool // of the trees alone
}

// Load reads and checks a configuration. The problems are all there are, the
// warnings too, in the order of files and lines; the Config is nil only when
// Strict is set and one of them is an error in what is native.
func Load(in Input) (*Config, []toml.Problem) {
	r := reader{in: in}
	r.problems.Add(in.Problems...)
	r.rules()
	r.services()
	return build(material{
		settings: in.Settings, mounts: in.Mounts, files: r.files, trees: r.trees, found: r.problems.Sorted(), notes: r.notes, looked: map[string][]toml.Problem{},
	}, in)
}

// HasServices tells whether there is a service in what the input says to read,
// be it a broken one.
func HasServices(in Input) bool {
	return slices.ContainsFunc(in.Services, func(s Source) bool {
		return len(dialect.Read(in.tree(s)).Definitions) > 0 || hasNative(s.FS)
	})
}

// hasNative tells whether a directory has native services in it.
func hasNative(fsys fs.FS) bool {
	names, _ := fs.Glob(fsys, "*"+suffix)
	return slices.ContainsFunc(names, func(name string) bool {
		data, err := ReadFile(fsys, name)
		return err == nil && bytes.Contains(data, []byte("exec_start"))
	})
}

func (s Source) join(name string) string {
	return path.Join(s.Name, name)
}

func (s Source) doubt(name string) error {
	if s.Trust == nil {
		return nil
	}
	return s.Trust(name)
}

// read returns what is in a file, or what is wrong with it.
func (s Source) read(name string) ([]byte, []toml.Problem) {
	data, err := ReadFile(s.FS, name)
	problem := toml.Problem{Pos: toml.Pos{File: s.join(name)}}
	if err != nil {
		problem.Text = plain(err)
		return nil, []toml.Problem{problem}
	}
	if why := s.doubt(name); why != nil {
		problem.Text = why.Error()
		return nil, []toml.Problem{problem}
	}
	return data, nil
}

// What files there are.
const (
	rulesKind    = "rules"
	servicesKind = "services"
)

// file is one file as read.
type file struct {
	kind string
	name string // in its directory
	path string // as people type it
	data []byte

	layer  int  // of services: 0 is built in
	unread bool // a service's that cannot be read, or is not to be believed
}

type reader struct {
	in       Input
	files    []file // lower layers first
	trees    []dialect.Found
	layer    int
	problems toml.Problems
	notes    []note
}

// note is something for people to know about a service that a rule asks for.
type note struct {
	service string
	text    string
}

func (r *reader) rules() {
	found := false
	for _, s := range r.in.Rules {
		found = r.dir(rulesKind, s) || found
	}
	if !found {
		r.dir(rulesKind, Source{Name: builtIn + "rules", FS: shippedrules.FS})
	}
}

func (r *reader) services() {
	builtin := Source{Name: builtIn + "services", FS: shippedservices.FS}
	r.dir(servicesKind, builtin)
	r.variants(builtin)
	for i, s := range r.in.Services {
		r.layer = i + 1
		tree := dialect.Read(r.in.tree(s))
		r.trees = append(r.trees, tree)
		if tree.Native {
			r.dir(servicesKind, s)
		}
	}
}

// variants takes, of each service with several, the first that the system has
// the program for, if it can with all that the program needs.
func (r *reader) variants(s Source) {
	find := r.in.Find
	if find == nil {
		find = func(string) string { return "" }
	}
	done := map[string]bool{}
	for pass, all := 0, shippedservices.Variants; pass < 3; pass++ {
		for _, v := range all {
			where := find(v.Program)
			if done[v.Service] || pass < 2 && where == "" || pass == 0 && !scripted(v, find) {
				continue
			}
			done[v.Service] = true
			r.read(servicesKind, s, v.File, v.Service)
			if r.in.Find != nil {
				r.noteVariant(v, where)
			}
		}
	}
}

func (r *reader) noteVariant(v shippedservices.Variant, where string) {
	name := strings.TrimSuffix(v.Service, suffix)
	if where == "" {
		r.notes = append(r.notes, note{name, fmt.Sprintf("no program for it is installed; %s would be one", v.Program)})
		return
	}
	r.notes = append(r.notes, note{name, fmt.Sprintf("%s found at %s", v.Program, where)})
	if !scripted(v, r.in.Find) {
		var places []string
		for _, other := range shippedservices.Variants {
			if other.Service == v.Service && other.Program == v.Program {
				places = append(places, other.Scripts...)
			}
		}
		r.notes = append(r.notes, note{name, fmt.Sprintf("%s finds no script at %s: it will set nothing up", v.Program, strings.Join(places, " or "))})
	}
}

// scripted tells whether a program finds the script without which it is useless.
func scripted(v shippedservices.Variant, find func(string) string) bool {
	return v.Scripts == nil || slices.ContainsFunc(v.Scripts, func(f string) bool { return find(f) != "" })
}

const (
	suffix  = ".toml"
	builtIn = service.BuiltIn
)

// dir reads every file of a directory that counts, and tells whether there is
// such a directory.
func (r *reader) dir(kind string, s Source) bool {
	entries, err := fs.ReadDir(s.FS, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		r.problems.Errorf(toml.Pos{File: s.Name}, "%s", plain(err))
	}
	if why := s.doubt("."); why != nil {
		r.problems.Errorf(toml.Pos{File: s.Name}, "%s", why)
		return true
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."), strings.HasPrefix(name, "#"), strings.HasSuffix(name, "~"):
		case strings.HasSuffix(name, suffix):
			r.read(kind, s, name, name)
		}
	}
	return true
}

// read reads one file under the name that it stands for.
func (r *reader) read(kind string, s Source, name, as string) {
	f := file{kind: kind, name: as, path: s.join(name), layer: r.layer}
	data, problems := s.read(name)
	r.problems.Add(problems...)
	f.data, f.unread = data, problems != nil
	if !f.unread || kind == servicesKind { // a service is known, whatever is wrong with its file
		r.files = append(r.files, f)
	}
}

var errTooLong = fmt.Errorf("longer than %d bytes", maxFile)

// ReadFile reads a file of a configuration, which is one of a megabyte at most.
// What would keep its reader waiting is an error.
func ReadFile(fsys fs.FS, name string) ([]byte, error) {
	// Opening a FIFO would wait for a writer. /dev/null is a usual mask.
	info, err := fs.Stat(fsys, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0:
		return nil, errors.New("it is no file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errTooLong
	}
	return data, err
}

// plain is an error without the path, which the place of the problem says.
func plain(err error) string {
	var bad *fs.PathError
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return "cannot be read: " + err.Error()
}
