package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/engine"
	"hotsvc/internal/layout"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
	"hotsvc/internal/toml"
)

// coreDaemon is the real control server before the real engine. The processes
// are make-believe: they start at once, and end when they are told. The hardware
// is one link, lo.
type coreDaemon struct {
	server *control.Server
	inbox  engine.Inbox
	deaf   atomic.Bool
	end    func()
}

// startCore is a daemon that reads what is in dir and listens on dir/control.
func startCore(dir string) (daemon, error) {
	read := func() (*config.Config, []toml.Problem) { return layout.Check(dir, nil) }
	conf, problems := read()
	if conf == nil {
		return nil, fmt.Errorf("%v", problems)
	}
	d := &coreDaemon{inbox: engine.NewInbox()}
	d.server = &control.Server{
		Version: "0.0-core", Group: -1,
		Post: func(in engine.Input) {
			if !d.deaf.Load() {
				d.inbox <- in
			}
		},
		Reload: func(context.Context) ([]toml.Problem, error) {
			conf, problems := read()
			if conf == nil {
				return problems, errors.New("the configuration has errors; the running one stays")
			}
			d.inbox <- engine.Input{Config: conf}
			return problems, nil
		},
	}
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
	d.end = func() { cancel(); <-looped; <-served; l.Close() }
	lo := object.Object{Life: object.Life{Key: object.LinkKey(1), Incarnation: 1}, Cause: "list",
		Words: object.Words{"name": {"lo"}, "index": {"1"}, "type": {"loopback"}, "up": object.Bool(false), "carrier": object.Bool(false),
			"running": object.Bool(false), "flags": {"LOOPBACK", "PROMISC"}, "ssid": nil}}
	d.inbox <- engine.Input{Report: &object.Report{Status: object.SourceStatus{Name: "link", State: object.Synced},
		Batch: &object.Batch{Kinds: []object.Kind{object.Link}, Full: true, Put: []object.Object{lo}}}}
	return d, nil
}

func (d *coreDaemon) stop()   { d.end() }
func (d *coreDaemon) deafen() { d.deaf.Store(true) }

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

// realDaemon is hotsvc itself.
type realDaemon struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	deaf bool
}

func startReal(hotsvc, dir string) (daemon, error) {
	// A directory of rules, be it empty, so that the built-in ones do not count.
	if err := os.MkdirAll(filepath.Join(dir, "rules.d"), 0o755); err != nil {
		return nil, err
	}
	d := &realDaemon{cmd: exec.Command(hotsvc, "--rules", dir+"/rules.d", "--services", dir+"/services",
		"--run-dir", dir+"/run", "--log-dir", dir+"/log", "--socket", dir+"/control")}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", dir+"/control"); err == nil {
			c.Close()
			return d, nil
		}
	}
	d.stop()
	return nil, errors.New("hotsvc does not listen: " + d.log.String())
}

// stop ends the daemon with its services; a deaf one crashes.
func (d *realDaemon) stop() {
	how, limit := syscall.SIGTERM, 30*time.Second
	if d.deaf {
		how = syscall.SIGKILL
	}
	d.cmd.Process.Signal(how)
	timer := time.AfterFunc(limit, func() { d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil && !d.deaf {
		fmt.Fprintf(os.Stderr, "hotsvc: %v\n%s", err, &d.log)
	}
}

func (d *realDaemon) deafen() {
	d.deaf = true
	d.cmd.Process.Signal(syscall.SIGSTOP)
}
