package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"hotsvc/internal/config"
	"hotsvc/internal/dialect"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
	"hotsvc/internal/trust"
)

// Layout says where things are. Empty fields have their defaults.
type Layout struct {
	Config   string   // hotsvc.toml; it may be missing unless Named
	Named    bool     // somebody named Config: then it must be there
	Rules    []string // directories instead of the settings', later ones override
	Services []string
	RunDir   string
	LogDir   string
	Socket   string // RunDir/control

	// Claim makes a service directory of runit's this daemon's own; see
	// config.Input. A nil one makes no claims.
	Claim func(dir string) error

	home string // of an ordinary user's configuration; "": the system's
}

// Default is the layout of a system daemon for root, and the XDG base
// directories' equivalent for anybody else.
func Default() Layout {
	if os.Geteuid() == 0 {
		return Layout{Config: "/etc/hotsvc/hotsvc.toml", RunDir: "/run/hotsvc", LogDir: "/var/log/hotsvc"}
	}
	home := os.Getenv("HOME")
	base := filepath.Join(xdg("XDG_CONFIG_HOME", filepath.Join(home, ".config")), "hotsvc")
	return Layout{
		Config: filepath.Join(base, "hotsvc.toml"),
		RunDir: filepath.Join(xdg("XDG_RUNTIME_DIR", filepath.Join(os.TempDir(), fmt.Sprintf("hotsvc-%d", os.Getuid()))), "hotsvc"),
		LogDir: filepath.Join(xdg("XDG_STATE_HOME", filepath.Join(home, ".local/state")), "hotsvc", "log"),
		home:   base,
	}
}

func xdg(name, otherwise string) string {
	if v := os.Getenv(name); filepath.IsAbs(v) {
		return v
	}
	return otherwise
}

// Absolute makes every name whole, so that what is shown of them is of use from
// any directory.
func (l *Layout) Absolute() error {
	names := []*string{&l.Config, &l.RunDir, &l.LogDir}
	if l.Socket != "" {
		names = append(names, &l.Socket)
	}
	for i := range l.Rules {
		names = append(names, &l.Rules[i])
	}
	for i, tree := range l.Services {
		d, dir := dialect.Cut(tree)
		whole, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("layout: %s: %w", dir, err)
		}
		l.Services[i] = treeName(d, whole)
	}
	for _, name := range names {
		whole, err := filepath.Abs(*name)
		if err != nil {
			return fmt.Errorf("layout: %s: %w", *name, err)
		}
		*name = whole
	}
	return nil
}

// SocketPath is where the control socket is.
func (l *Layout) SocketPath() string {
	if l.Socket != "" {
		return l.Socket
	}
	return filepath.Join(l.RunDir, "control")
}

// Read reads the configuration: settings, then the directories. It is nil when
// anything is wrong.
func (l *Layout) Read() (*config.Config, []toml.Problem) {
	conf, problems := l.load(true, nil)
	if toml.HasErrors(problems) {
		return nil, problems
	}
	return conf, problems
}

// Begin reads the configuration that a daemon starts with. Files with a problem
// are left out; of a tree, what is broken now and was not in last, which may be
// nil, stays as it was there.
func (l *Layout) Begin(last *config.Config) (*config.Config, []toml.Problem) {
	return l.load(false, last)
}

// Reload reads the configuration anew. It is refused whole when anything native
// is wrong; a service of another dialect that is broken now stays as it was.
func (l *Layout) Reload(was *config.Config) (*config.Config, []toml.Problem) {
	return l.load(true, was)
}

// Rescan reads the service trees of other dialects anew, and nothing else. It
// returns what is in force where nothing changed.
func (l *Layout) Rescan(was *config.Config) *config.Config {
	in := l.input(was.Settings)
	in.Was = was
	return config.Rescan(in)
}

func (l *Layout) load(strict bool, was *config.Config) (*config.Config, []toml.Problem) {
	settings, problems := l.settings()
	if l.Rules != nil {
		settings.RulesDirs = l.Rules
	}
	if l.Services != nil {
		settings.ServiceDirs = l.Services
	}
	in := l.input(settings)
	in.Strict, in.Was, in.Problems = strict, was, problems
	return config.Load(in)
}

func (l *Layout) settings() (config.Settings, []toml.Problem) {
	usual := config.DefaultSettings()
	if l.home != "" {
		home := absolute(l.home)
		usual.RulesDirs, usual.ServiceDirs = []string{filepath.Join(home, rulesDir)}, []string{filepath.Join(home, servicesDir)}
	}
	wrong := func(text string) (config.Settings, []toml.Problem) {
		return usual, []toml.Problem{{Pos: toml.Pos{File: l.Config}, Text: text}}
	}
	data, err := config.ReadFile(os.DirFS(filepath.Dir(l.Config)), filepath.Base(l.Config))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !l.Named:
		return usual, nil
	case err != nil:
		return wrong("cannot be read: " + cause(err))
	}
	if why := trust.New().File(absolute(l.Config)); why != nil {
		return wrong(why.Error())
	}
	return config.ParseSettings(l.Config, data, usual)
}

// What a directory of a configuration has in it.
const (
	settingsFile = "hotsvc.toml"
	rulesDir     = "rules.d"
	servicesDir  = "services"
)

// Check reads a directory as a reload would if it stood in the usual place: its
// hotsvc.toml says which directories count, and one that would be below
// /etc/hotsvc is below it. A directory with nothing of the kind may be a tree of
// services itself. was is the configuration in force, or nil: see Reload.
func Check(dir string, was *config.Config) (*config.Config, []toml.Problem) {
	l := Default()
	d, root := dialect.Cut(dir)
	root = filepath.Clean(root)
	if d != "" || !laidOut(root) {
		return l.checkTree(d, root, was)
	}
	usual := filepath.Dir(l.Config)
	l.Config = filepath.Join(root, settingsFile)
	settings, problems := l.settings()
	for _, dirs := range [][]string{settings.RulesDirs, settings.ServiceDirs} {
		for i, tree := range dirs {
			d, place := dialect.Cut(tree)
			below, err := filepath.Rel(usual, place)
			if err != nil || !filepath.IsLocal(below) {
				continue
			}
			dirs[i] = treeName(d, filepath.Join(root, below))
		}
	}
	return l.check(settings, was, problems)
}

func laidOut(dir string) bool {
	for _, name := range []string{settingsFile, rulesDir, servicesDir} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// checkTree reads a tree of services alone.
func (l *Layout) checkTree(d service.Dialect, dir string, was *config.Config) (*config.Config, []toml.Problem) {
	settings := config.DefaultSettings()
	settings.RulesDirs, settings.ServiceDirs = nil, []string{treeName(d, dir)}
	if !config.HasServices(l.input(settings)) {
		return nil, []toml.Problem{{Pos: toml.Pos{File: dir},
			Text: "has neither rules.d, services nor hotsvc.toml, and is no tree of services itself: name a directory like /etc/hotsvc"}}
	}
	return l.check(settings, was, nil)
}

// treeName is a tree as settings name it.
func treeName(d service.Dialect, dir string) string {
	if d == "" {
		return dir
	}
	return string(d) + ":" + dir
}

func (l *Layout) check(settings config.Settings, was *config.Config, problems []toml.Problem) (*config.Config, []toml.Problem) {
	in := l.input(settings)
	in.Strict, in.Was, in.Problems = true, was, problems
	conf, problems := config.Load(in)
	if toml.HasErrors(problems) {
		return nil, problems
	}
	return conf, problems
}

// input is what config.Load needs to know of the system.
func (l *Layout) input(s config.Settings) config.Input {
	in := config.Input{Settings: s, Mounts: fstab(), Find: find, Look: look, Copies: l.copies(), RunDir: l.SysmgrDir(), Claim: l.Claim}
	who := trust.New()
	for _, dir := range s.RulesDirs {
		in.Rules = append(in.Rules, source("", dir, who))
	}
	for _, tree := range s.ServiceDirs {
		d, dir := dialect.Cut(tree)
		in.Services = append(in.Services, source(d, dir, who))
	}
	return in
}

func source(d service.Dialect, dir string, who *trust.Check) config.Source {
	whole := absolute(dir)
	return config.Source{
		Name: dir, FS: os.DirFS(dir), Dialect: d,
		Identity: func(name string) uint64 { return identity(filepath.Join(dir, name)) },
		Trust:    func(name string) error { return who.File(filepath.Join(whole, name)) },
	}
}

// absolute is a file's whole name, or the name where there is no working directory.
func absolute(name string) string {
	whole, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	return whole
}

// copies is where linked service directories have copies of their own.
func (l *Layout) copies() string { return filepath.Join(l.RunDir, "service") }

// SysmgrDir is $RUNDIR of sysmgr's services.
func (l *Layout) SysmgrDir() string { return filepath.Join(l.RunDir, "sysmgr") }

// Trees lists the directories in which services of other dialects may be.
func Trees(s config.Settings) []string {
	var dirs []string
	for _, tree := range s.ServiceDirs {
		if d, dir := dialect.Cut(tree); d != service.Native {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// find returns where a program is, or a file that is named whole.
func find(name string) string {
	if filepath.IsAbs(name) {
		if _, err := os.Stat(name); err != nil {
			return ""
		}
		return name
	}
	where, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return where
}

// fstab lists the mount points that a boot waits for.
func fstab() []string {
	data, err := os.ReadFile("/etc/fstab")
	if err != nil {
		return nil // none to wait for
	}
	return service.Fstab(string(data))
}

// cause is an error without the file's name, which is said already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
