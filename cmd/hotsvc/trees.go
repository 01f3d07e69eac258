package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"hotsvc/internal/config"
	"hotsvc/internal/dirwatch"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/service"
)

// followTrees picks up at once what becomes of the services of other dialects.
func (d *daemon) followTrees(running *sync.WaitGroup) {
	if err := os.MkdirAll(d.layout.SysmgrDir(), 0o755); err != nil { // $RUNDIR of sysmgr's services
		d.log.Warn(err.Error())
	}
	trees, err := dirwatch.New(d.rescan, func(line string) { d.log.Warn(line) })
	if err != nil {
		d.log.Warn(err.Error())
		return
	}
	d.reloading.Lock()
	d.sysmgrDirs(d.conf)
	d.trees = trees
	trees.Follow(layout.Trees(d.conf.Settings))
	d.reloading.Unlock()
	running.Go(func() {
		d.rescan() // what changed before anybody watched
		if err := trees.Run(d.ctx); err != nil {
			d.log.Error(err.Error())
		}
	})
}

// rescan reads the trees again. What is native waits for a reload.
func (d *daemon) rescan() {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	was := d.conf
	conf := d.layout.Rescan(was)
	if conf == was {
		return
	}
	for _, p := range conf.Problems {
		if !slices.Contains(was.Problems, p) {
			d.log.Warn(p.String())
		}
	}
	d.log.Info(fmt.Sprintf("service trees changed: %d services", len(conf.Services)))
	d.put(conf)
}

// sysmgrDirs makes what scripts of sysmgr's write their pid into; nobody reads it.
func (d *daemon) sysmgrDirs(conf *config.Config) {
	for name, def := range conf.Services {
		if def.Dialect == service.Sysmgr {
			os.MkdirAll(filepath.Join(d.layout.SysmgrDir(), name), 0o755)
		}
	}
}

// keepLogs has logs kept as a configuration says.
func (d *daemon) keepLogs(conf *config.Config) {
	d.super.KeepLogs(func(name string) (service.LogFile, bool) {
		template, _ := service.Split(name)
		def := conf.Services[template]
		if def == nil {
			return service.LogFile{}, false
		}
		return def.Policy.LogFile, true
	})
}

// put puts a configuration in force. The lock is held: what was read last is to
// be in force last.
func (d *daemon) put(conf *config.Config) {
	d.conf = conf
	d.remember(conf)
	d.sysmgrDirs(conf)
	d.keepLogs(conf)
	if d.trees != nil {
		d.trees.Follow(layout.Trees(conf.Settings))
	}
	d.post(engine.Input{Config: conf})
}
