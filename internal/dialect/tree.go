package dialect

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// Tree is a directory of services.
type Tree struct {
	Name    string // as people type it, and absolute: "/etc/sv"
	FS      fs.FS
	Dialect service.Dialect // "": the contents decide

	Copies string   // below it a linked runit directory has a copy of its own
	RunDir string   // RUNDIR of sysmgr's services
	Mounts []string // mount points that MOUNTS waits for

	// TOML says whose form NAME.toml has here: Native, Hermit, or "" where the
	// contents decide.
	TOML service.Dialect

	// Identity tells directories of one name apart that followed each other: 0
	// where nothing does. It may be nil.
	Identity func(dir string) uint64

	// Trust returns why a file or directory of FS is not to be believed, and what
	// to do. Nil believes all.
	Trust func(name string) error
}

// Found is what a tree holds, native files aside.
type Found struct {
	Name        string                // the tree's
	Definitions []*service.Definition // a service before its logger
	Problems    []toml.Problem        // errors in hermit's files; warnings for all else
	Native      bool                  // NAME.toml is native here
	Dialects    []service.Dialect     // of which there is something
	Doubted     []string              // services that are broken for want of trust
}

// Cut takes the dialect off a tree that is named as DIALECT:DIR.
func Cut(text string) (d service.Dialect, dir string) {
	name, rest, ok := strings.Cut(text, ":")
	if ok && slices.Contains(service.Dialects, service.Dialect(name)) {
		return service.Dialect(name), rest
	}
	return "", text
}

// Read reads a tree. One that is not there is empty.
func Read(t Tree) Found {
	r := reader{Tree: t, found: Found{Name: t.Name}}
	r.found.Native = t.Dialect == "" && t.TOML != service.Hermit || t.Dialect == service.Native
	entries, err := fs.ReadDir(t.FS, ".")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !r.found.Native { // else whoever reads that says so
			r.warn("", "cannot be read: %v", bare(err))
		}
		return r.result()
	}
	for _, e := range entries {
		r.sort(e.Name())
	}
	r.read()
	return r.result()
}

type reader struct {
	Tree
	found    Found
	problems toml.Problems

	files    []string // NAME.toml
	dirs     []string
	programs []string
}

func (r *reader) result() Found {
	for _, d := range r.found.Definitions {
		if !slices.Contains(r.found.Dialects, d.Dialect) {
			r.found.Dialects = append(r.found.Dialects, d.Dialect)
		}
	}
	r.found.Problems = r.problems.Sorted()
	return r.found
}

// is tells whether things of that dialect are read here.
func (r *reader) is(d service.Dialect) bool { return r.Dialect == "" || r.Dialect == d }

const suffix = ".toml"

// leftovers of packagers and editors are no programs.
var leftovers = []string{".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave", ".rpmnew", ".bak", ".orig", ".swp"}

// sort puts an entry with its like.
func (r *reader) sort(name string) {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") {
		return
	}
	if strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.warn("", "%q is no name that a service can have: rename it", name) // nor one to print as it is
		return
	}
	if strings.HasSuffix(name, suffix) && r.is(service.Hermit) {
		r.files = append(r.files, name)
		return
	}
	info, err := fs.Stat(r.FS, name)
	switch {
	case err != nil:
		r.unreachable(name, err)
	case info.IsDir():
		r.dirs = append(r.dirs, name)
	case !info.Mode().IsRegular() || slices.Contains(leftovers, path.Ext(name)):
	case info.Mode()&0o111 != 0:
		r.programs = append(r.programs, name)
	case r.Dialect == service.Sysmgr && r.isScript(name):
		r.warn(name, "is not executable, so it is no service: chmod +x")
	}
}

// unreachable is about a link that leads nowhere; what is gone since the list
// was made is nothing.
func (r *reader) unreachable(name string, err error) {
	link, lerr := fs.Lstat(r.FS, name)
	if lerr != nil && errors.Is(lerr, fs.ErrNotExist) || r.Dialect == service.Native || r.Dialect == service.Hermit {
		return
	}
	why := fmt.Sprintf("cannot be reached: %v: see to it that it can be, or remove it", bare(err))
	if lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
		to, _ := fs.ReadLink(r.FS, name)
		why = fmt.Sprintf("is a link to %s, which is not there: correct the link or remove it", to)
		if !errors.Is(err, fs.ErrNotExist) {
			why = fmt.Sprintf("is a link to %s, which leads nowhere (%v): correct the link or remove it", to, bare(err))
		}
	}
	d := r.Dialect
	if d == "" {
		d = service.Runit
	}
	r.broken(r.define(name, d, name), "%s", why)
}

func (r *reader) read() {
	if r.Dialect == "" && r.TOML == "" && r.hermitSign() {
		r.found.Native = false
	}
	if !r.found.Native {
		r.hermit()
	}
	before := len(r.found.Definitions)
	switch {
	case r.Dialect == service.Backhand, r.Dialect == "" && slices.ContainsFunc(r.dirs, r.backhandSign):
		for _, name := range r.dirs {
			r.backhand(name)
		}
	case r.is(service.Runit):
		for _, name := range r.dirs {
			r.runit(name)
		}
	}
	if r.Dialect == service.Sysmgr || r.Dialect == "" && len(r.found.Definitions) == before { // beside directories they are tools of those
		for _, name := range r.programs {
			r.sysmgr(name)
		}
	}
}

// path is a file of the tree as people type it.
func (r *reader) path(name string) string { return path.Join(r.Name, name) }

func (r *reader) warn(name, format string, args ...any) {
	r.problems.Warnf(toml.Pos{File: r.path(name)}, format, args...)
}

// define begins a definition, which file makes.
func (r *reader) define(name string, d service.Dialect, file string) *service.Definition {
	def := service.New(name)
	def.Dialect = d
	def.Pos = toml.Pos{File: r.path(file)}
	return &def
}

// add takes a definition in, if it can be named.
func (r *reader) add(def *service.Definition) bool {
	name := def.Name
	if service.IsTemplate(name) {
		name += "x" // any instance will do
		def.Policy.StartAtBoot = false
	}
	if wrong := service.CheckName(name); wrong != "" {
		r.problems.Warnf(def.Pos, "%s", wrong)
		return false
	}
	r.found.Definitions = append(r.found.Definitions, def)
	return true
}

// broken takes in a definition that says why it cannot run.
func (r *reader) broken(def *service.Definition, format string, args ...any) {
	r.breaks(def, format, args...)
	r.add(def)
}

func (r *reader) breaks(def *service.Definition, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.problems.Warnf(def.Pos, "%s", text)
	def.Masked, def.Broken = true, def.Pos.File+" "+text
}

// doubted tells whether others could have written one of the files that make a
// service. Then it takes the definition in as broken.
func (r *reader) doubted(def *service.Definition, files ...string) bool {
	for _, f := range files {
		why := r.doubt(f)
		if why == nil {
			continue
		}
		r.problems.Warnf(toml.Pos{File: r.path(f)}, "%v", why)
		def.Masked, def.Broken = true, why.Error()
		r.found.Doubted = append(r.found.Doubted, def.Name)
		r.add(def)
		return true
	}
	return false
}

func (r *reader) doubt(file string) error {
	if r.Trust == nil {
		return nil
	}
	return r.Trust(file)
}

// program tells whether a file is there and can be executed. The error is nil
// where it is not there.
func (r *reader) program(name string) (there, executable bool, err error) {
	info, err := fs.Stat(r.FS, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	return true, info.Mode().IsRegular() && info.Mode()&0o111 != 0, nil
}

// has tells whether there is a file of that name.
func (r *reader) has(name string) bool {
	_, err := fs.Stat(r.FS, name)
	return err == nil
}

func (r *reader) isScript(name string) bool {
	f, err := r.FS.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	n, _ := f.Read(head[:])
	return string(head[:n]) == "#!"
}

func (r *reader) identity(dir string) uint64 {
	if r.Identity == nil {
		return 0
	}
	return r.Identity(dir)
}

// literals are texts in which no word is replaced.
func literals(texts ...string) []string {
	for i := range texts {
		texts[i] = service.Literal(texts[i])
	}
	return texts
}

// bare is an error without the file, which is named already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
