package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"hotsvc/internal/control"
	"hotsvc/internal/engine"
)

// version is set when hsctl is built for release.
var version = ""

func main() {
	if program := calledAs(os.Args[0]); program != nil {
		os.Exit(program(callOf(os.Args, os.Stdin, os.Stdout, os.Stderr)))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := cmp.Or(root.Execute(), a.helpless)
	if err == nil {
		return int(engine.CodeYes)
	}
	var failed *control.Error
	if !errors.As(err, &failed) {
		failed = usage("%s: see `hsctl --help`", err) // cobra's: an unknown verb or flag
	}
	if failed.Text != "" {
		fmt.Fprintln(stderr, "hsctl: "+clean(failed.Text))
	}
	return int(failed.Code)
}

// usage is an error in how hsctl was called.
func usage(format string, args ...any) *control.Error {
	return &control.Error{Code: engine.CodeUsage, Text: fmt.Sprintf(format, args...)}
}

func ownVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
