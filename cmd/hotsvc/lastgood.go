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
	if !conf.Whole() {
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
	last := d.recall()
	conf, problems := d.layout.Begin(last)
	if conf.Whole() || last == nil {
		return conf, problems
	}
	d.log.Error("the configuration has errors: goes on with the last good one of this boot; `hsctl check` says what is wrong")
	return last.Despite(conf), problems
}

// recall is what remember wrote down in this boot, or nil.
func (d *daemon) recall() *config.Config {
	text, err := os.ReadFile(d.lastGood())
	if err != nil {
		return nil
	}
	archive, ok := bytes.CutPrefix(text, []byte("boot "+bootID()+"\n"))
	if !ok {
		return nil
	}
	last, err := config.FromArchive(archive)
	if err != nil {
		d.log.Warn(d.lastGood() + ": " + err.Error())
		return nil
	}
	return last
}
