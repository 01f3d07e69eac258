package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"hotsvc/internal/config"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
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
		Config:   filepath.Join(base, "hotsvc.toml"),
		Rules:    []string{filepath.Join(base, "rules.d")},
		Services: []string{filepath.Join(base, "services")},
		RunDir:   filepath.Join(xdg("XDG_RUNTIME_DIR", filepath.Join(os.TempDir(), fmt.Sprintf("hotsvc-%d", os.Getuid()))), "hotsvc"),
		LogDir:   filepath.Join(xdg("XDG_STATE_HOME", filepath.Join(home, ".local/state")), "hotsvc", "log"),
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
	for _, dirs := range [][]string{l.Rules, l.Services} {
		for i := range dirs {
			names = append(names, &dirs[i])
		}
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

// Read reads the configuration: settings, then the directories. Strict refuses
// the whole when anything is wrong; without it the files with a problem are
// left out.
func (l *Layout) Read(strict bool) (*config.Config, []toml.Problem) {
	settings, problems := l.settings()
	if l.Rules != nil {
		settings.RulesDirs = l.Rules
	}
	if l.Services != nil {
		settings.ServiceDirs = l.Services
	}
	if strict && toml.HasErrors(problems) {
		in := input(settings)
		in.Strict = true
		_, more := config.Load(in) // all problems at once
		return nil, append(problems, more...)
	}
	in := input(settings)
	in.Strict = strict
	conf, more := config.Load(in)
	problems = append(problems, more...)
	if conf != nil {
		conf.Problems = problems
	}
	return conf, problems
}

func (l *Layout) settings() (config.Settings, []toml.Problem) {
	data, err := os.ReadFile(l.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !l.Named:
		return config.DefaultSettings(), nil
	case err != nil:
		return config.DefaultSettings(), []toml.Problem{{Pos: toml.Pos{File: l.Config}, Text: "cannot be read: " + cause(err)}}
	}
	return config.ParseSettings(l.Config, data)
}

// Check reads a directory that has rules.d, services and hotsvc.toml in it, as
// they would be below /etc/hotsvc.
func Check(dir string) (*config.Config, []toml.Problem) {
	in, problems := config.Check(config.Source{Name: filepath.Clean(dir), FS: os.DirFS(dir)})
	in.Mounts, in.Find = fstab(), find
	conf, more := config.Load(in)
	return conf, append(problems, more...)
}

// input is what config.Load needs to know of the system.
func input(s config.Settings) config.Input {
	in := config.Input{Settings: s, Mounts: fstab(), Find: find}
	for _, dir := range s.RulesDirs {
		in.Rules = append(in.Rules, config.Source{Name: dir, FS: os.DirFS(dir)})
	}
	for _, dir := range s.ServiceDirs {
		in.Services = append(in.Services, config.Source{Name: dir, FS: os.DirFS(dir)})
	}
	return in
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
