package main

import (
	"bytes"
	"os"
	"path/filepath"

	"hotsvc/internal/config"
	"hotsvc/internal/toml"
)

// lastGood is the last configuration without an error in this boot. A daemon
// that dies while somebody edits a file is not to come back with less than it
// had; after a boot, files with a problem are left out instead.
func (d *daemon) lastGood() string { return filepath.Join(d.layout.RunDir, "config.txtar") }

// remember writes down a configuration that was accepted.
func (d *daemon) remember(conf *config.Config) {
	if toml.HasErrors(conf.Problems) {
		return
	}
	text := append([]byte("boot "+bootID()+"\n"), conf.Archive()...)
	temp := d.lastGood() + ".new"
	err := os.WriteFile(temp, text, 0o600)
	if err == nil {
		err = os.Rename(temp, d.lastGood())
	}
	if err != nil {
		d.log.Warn("the configuration was not written down: a next daemon has the files only: " + err.Error())
	}
}

// begin is the configuration to start with: the files', or, where they have
// errors by now, what was in force before in this boot.
func (d *daemon) begin() (*config.Config, []toml.Problem) {
	conf, problems := d.layout.Read(false)
	if !toml.HasErrors(problems) {
		return conf, problems
	}
	text, err := os.ReadFile(d.lastGood())
	if err != nil {
		return conf, problems
	}
	archive, ok := bytes.CutPrefix(text, []byte("boot "+bootID()+"\n"))
	if !ok {
		return conf, problems
	}
	last, err := config.FromArchive(archive)
	if err != nil {
		d.log.Warn(d.lastGood() + ": " + err.Error())
		return conf, problems
	}
	d.log.Error("the configuration has errors: goes on with the last good one of this boot; `hsctl check` says what is wrong")
	last.Problems = problems
	return last, problems
}
