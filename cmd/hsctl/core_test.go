package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// coreDaemon is the real control server before the real engine. Only the
// processes are make-believe: they start at once, and end when they are told.
type coreDaemon struct {
	server *control.Server
	inbox  engine.Inbox
	deaf   atomic.Bool
	end    context.CancelFunc
	wait   func()
}

func startCore(dir string) (daemon, error) {
	in, problems := config.Check(config.Source{Name: "etc", FS: os.DirFS(dir)})
	conf, more := config.Load(in)
	for _, p := range append(problems, more...) {
		if !p.Warning {
			return nil, errors.New(p.String())
		}
	}
	d := &coreDaemon{inbox: engine.NewInbox()}
	d.server = &control.Server{Version: "0.0-core", Group: -1, Post: func(in engine.Input) {
		if !d.deaf.Load() {
			d.inbox <- in
		}
	}, Reload: func(context.Context) ([]toml.Problem, error) { return nil, nil }}
	l, err := control.Listen(filepath.Join(dir, "control"), -1)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	clock := func() engine.Now { return engine.Now{Mono: time.Since(began) + time.Hour, Wall: time.Now()} }
	core := engine.New(engine.Options{Version: "0.0-core", BootID: "b00t", Sources: []string{"link"}}, conf, clock())
	ctx, cancel := context.WithCancel(context.Background())
	looped, served := make(chan bool), make(chan bool)
	go func() { defer close(looped); engine.Loop(ctx, core, d.inbox, clock, d.do) }()
	go func() { defer close(served); d.server.Serve(ctx, l) }()
	d.inbox <- engine.Input{Report: &object.Report{Status: object.SourceStatus{Name: "link", State: object.Synced},
		Batch: &object.Batch{Kinds: []object.Kind{object.Link}, Full: true}}}
	d.end, d.wait = cancel, func() { <-looped; <-served; l.Close() }
	return d, nil
}

func (d *coreDaemon) stop() { d.end(); d.wait() }

func (d *coreDaemon) set(what string) { d.deaf.Store(what == "deaf") }

// do does an effect: it pretends that processes do as they are told.
func (d *coreDaemon) do(e engine.Effect) {
	var events []service.Event
	switch e.Kind {
	case engine.EffectReply:
		d.server.Deliver(*e.Reply)
	case engine.EffectSpawn:
		events = []service.Event{{Kind: service.Spawned, Pid: 4711, Started: 1}}
	case engine.EffectTerm, engine.EffectKill:
		events = []service.Event{{Kind: service.Exited, Exit: service.Exit{Signal: "TERM"}}, {Kind: service.Empty}}
	case engine.EffectSweep:
		events = []service.Event{{Kind: service.Empty}}
	}
	for _, ev := range events {
		ev.Attempt = e.Attempt
		d.inbox <- engine.Input{Process: &engine.ProcessEvent{Service: e.Service, Event: ev}}
	}
}
