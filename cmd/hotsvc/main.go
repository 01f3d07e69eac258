package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"hotsvc/internal/config"
	"hotsvc/internal/dialect"
	"hotsvc/internal/layout"
	"hotsvc/internal/toml"
)

// Exit statuses, as for every program of this family.
const (
	exitProblem = 1   // --check found something
	exitUsage   = 100 // the command line is wrong
	exitSystem  = 111 // the system does not let us
)

const usage = `usage: hotsvc [--config FILE] [--rules DIR]… [--services [DIALECT:]DIR]… [--run-dir DIR]
              [--log-dir DIR] [--socket PATH] [--log-level LEVEL] [--check] [--version]

Keeps services true to the hardware: runs in the foreground and logs to stderr.

  --config FILE      settings, instead of /etc/hotsvc/hotsvc.toml
  --rules DIR        rules, instead of the defaults; may be repeated, later ones override
  --services DIR     services, likewise; DIALECT:DIR where the contents should not
                     decide: native, runit, backhand, sysmgr or hermit
  --run-dir DIR      state and control socket, instead of /run/hotsvc
  --log-dir DIR      output of the services, instead of /var/log/hotsvc
  --socket PATH      control socket, instead of control in the run directory
  --log-level LEVEL  error, warn, info or debug
  --check            say what is wrong with the configuration and exit: 0 or 1
  --version          print the version and exit

Signals: HUP reads the configuration again; TERM stops all services in order and
exits; USR1 exits and leaves them for the next daemon.

Examples:
  hotsvc
  hotsvc --rules ./rules.d --run-dir /tmp/try --log-dir /tmp/try/log
  hotsvc --services /etc/hotsvc/services --services runit:/etc/sv
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string, stdout, stderr io.Writer) int {
	l := layout.Default()
	f := flag.NewFlagSet("hotsvc", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	var rules, services list
	f.StringVar(&l.Config, "config", l.Config, "")
	f.Var(&rules, "rules", "")
	f.Var(&services, "services", "")
	f.StringVar(&l.RunDir, "run-dir", l.RunDir, "")
	f.StringVar(&l.LogDir, "log-dir", l.LogDir, "")
	f.StringVar(&l.Socket, "socket", "", "")
	level := f.String("log-level", "", "")
	check := f.Bool("check", false, "")
	state := f.Bool("check-state", false, "") // asked by the daemon before an upgrade
	version := f.Bool("version", false, "")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "hotsvc: %v: see hotsvc --help\n", err)
		return exitUsage
	case f.NArg() > 0:
		fmt.Fprintf(stderr, "hotsvc: %s: it takes no arguments: see hotsvc --help\n", f.Arg(0))
		return exitUsage
	}
	f.Visit(func(g *flag.Flag) { l.Named = l.Named || g.Name == "config" })
	if rules != nil {
		l.Rules = rules
	}
	if services != nil {
		l.Services = services
	}
	for _, dir := range slices.Concat(rules, services) {
		if slices.Contains(services, dir) {
			_, dir = dialect.Cut(dir)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			fmt.Fprintf(stderr, "hotsvc: %s is no directory: name one that is there\n", dir)
			return exitSystem
		}
	}
	if err := l.Absolute(); err != nil {
		fmt.Fprintf(stderr, "hotsvc: %v\n", err)
		return exitSystem
	}
	switch {
	case *version:
		fmt.Fprintln(stdout, "hotsvc "+ownVersion())
		return 0
	case *check:
		conf, problems := l.Read()
		return printCheck(stdout, conf, problems)
	}
	if *state {
		code := checkState(&l, stderr)
		if code == 0 {
			fmt.Fprintln(stdout, fitLine)
		}
		return code
	}
	logger, setLevel := newLog(stderr)
	if *level != "" {
		if err := setLevel(*level); err != nil {
			fmt.Fprintf(stderr, "hotsvc: --log-level: %v\n", err)
			return exitUsage
		}
	}
	if err := serve(&l, logger, *level == "", setLevel); err != nil {
		logger.Error(err.Error())
		return exitSystem
	}
	return 0
}

func printCheck(w io.Writer, conf *config.Config, problems []toml.Problem) int {
	for _, p := range problems {
		fmt.Fprintln(w, oneLine(p.String()))
	}
	if conf == nil {
		return exitProblem
	}
	for _, n := range conf.Notes {
		fmt.Fprintln(w, oneLine(n))
	}
	return 0
}

func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}

// version is set by the Makefile.
var version = "unreleased"
