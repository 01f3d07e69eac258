package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/config"
	"hotsvc/internal/control"
	"hotsvc/internal/dirwatch"
	"hotsvc/internal/engine"
	"hotsvc/internal/hostwatch"
	"hotsvc/internal/layout"
	"hotsvc/internal/linkwatch"
	"hotsvc/internal/object"
	"hotsvc/internal/superdir"
	"hotsvc/internal/supervise"
	"hotsvc/internal/toml"
	"hotsvc/internal/uevent"
)

// shutdownCall is the number of the call by which the daemon itself asks for
// every service to stop; the control edge counts upwards from 1.
const shutdownCall = -1

// startSlots bounds how many services are on their way up at once, so that a
// boot of a hundred does not starve each of them. Stops are not bounded.
const startSlots = 32

// daemon is what the rooms are wired to. Nothing in it decides.
type daemon struct {
	layout *layout.Layout
	log    *slog.Logger
	inbox  engine.Inbox
	ctx    context.Context
	deaf   chan struct{} // closed: nobody reads the inbox any more

	super     *supervise.Supervisor
	face      *superdir.Face
	suspended string // by whom, as the face was told
	server    *control.Server
	devices   *uevent.Watcher
	links     *linkwatch.Watcher

	reloading sync.Mutex
	conf      *config.Config    // in force; guarded by reloading
	trees     *dirwatch.Watcher // nil: the system has no inotify left
	thrift    *thrift
	linkUp    chan int      // ifindexes
	stopped   chan struct{} // every service is down

	upgrades chan *successor
	ending   chan struct{} // TERM came: there is no upgrade any more
	next     *successor    // goes on when everything here is let go
}

// serve is the daemon from lock to unlock.
func serve(l *layout.Layout, log *slog.Logger, levelFromFile bool, setLevel func(string) error) error {
	// A log whose reader is gone does not end the daemon. Caught, not ignored:
	// the services would begin with it ignored too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	came := inheritedSignals()
	signals := make(chan os.Signal, len(came)+4) // first of all: an image before this one had them ignored
	for _, s := range came {
		signals <- s
	}
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	syscall.Umask(0o022) // what is tighter or wider is said where it is made
	kept := inheritance()
	lock, err := theLock(l.RunDir, kept)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := ownSocket(l.SocketPath()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := &daemon{layout: l, log: log, inbox: engine.NewInbox(), ctx: ctx, deaf: make(chan struct{}), thrift: newThrift(), linkUp: make(chan int, 64), stopped: make(chan struct{}), upgrades: make(chan *successor), ending: make(chan struct{})}
	if err := d.newFace(); err != nil {
		return err
	}
	conf, problems := d.begin()
	d.conf = conf
	if levelFromFile {
		if err := setLevel(conf.Settings.LogLevel); err != nil {
			return err
		}
	}
	d.remember(conf)
	for _, p := range problems {
		log.Warn(p.String())
	}
	for _, n := range conf.Notes {
		log.Info(n)
	}
	d.super, err = supervise.New(supervise.Config{RunDir: l.RunDir, LogDir: l.LogDir, Post: d.post, Reply: d.reply, Log: log})
	if err != nil {
		return err
	}
	d.keepLogs(conf)
	for _, f := range kept["output"] { // it is being read again
		f.Close()
	}
	group := groupID(conf.Settings.SocketGroup)
	listener, err := listen(l.SocketPath(), group, kept)
	if err != nil {
		d.super.Close(true)
		return fmt.Errorf("control: %w", err)
	}
	d.server = &control.Server{Post: d.post, Reload: d.reload, Upgrade: d.upgrade, Finish: d.finish, ServiceOf: d.super.ServiceOf, Version: ownVersion(), Group: group,
		Log: func(line string) { log.Info(line) }}
	d.devices, d.links = uevent.New(uevent.Config{}), linkwatch.New(linkwatch.Config{Udev: conf.Settings.Udev, Log: func(line string) { log.Warn(line) }})
	core := engine.New(engine.Options{Version: ownVersion(), BootID: bootID(), Env: baseEnv(), OwnEnv: os.Environ(), Sources: []string{"uevent", "link", "wifi", "mount", "clock"}, Slots: startSlots}, conf, clock())
	if err := d.takeOver(core); err != nil { // what runs must not be started a second time
		d.super.Close(true)
		listener.Close()
		return err
	}
	var running sync.WaitGroup
	if os.Getpid() == 1 || len(kept) > 0 { // else nobody's children are init's
		running.Go(func() { supervise.Reap(ctx.Done()) })
	}
	loop, endLoop := context.WithCancel(context.Background())
	defer endLoop()
	go func() {
		defer close(d.deaf)
		engine.Loop(loop, core, d.inbox, clock, d.do)
	}()
	d.startSources(&running)
	d.followTrees(&running)
	running.Go(func() { d.face.Run(ctx) })
	running.Go(func() {
		if err := d.server.Serve(ctx, listener); err != nil {
			log.Error(err.Error())
		}
	})
	for _, line := range d.super.Degraded() {
		log.Warn(line)
	}
	leave := d.heed(signals)
	cancel()
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(roomsPatience):
		log.Warn("does not wait any longer for a call or a reload that hangs in the disk")
	}
	endLoop() // after those who put something in the inbox: what they have read is done
	<-d.deaf
	if d.next != nil {
		outputs := d.super.Outputs()
		d.super.Close(leave)
		return d.next.become(lock, listener, outputs, signals, log)
	}
	d.super.Close(leave)
	listener.Close()
	if !leave {
		os.Remove(l.SocketPath())
	}
	return nil
}

// roomsPatience is how long the daemon waits at its end for its own goroutines:
// one that reads files may be held by a dead server for ever.
const roomsPatience = 5 * time.Second

// takeOver gives the core what an earlier daemon left.
func (d *daemon) takeOver(core *engine.Core) error {
	records, global, lives, err := d.super.Load()
	live := map[string]engine.Live{}
	for _, l := range lives {
		was, ok := live[l.Service]
		left := was.Left || l.Left > 0
		if !ok || l.Pid > 0 || was.Pid == 0 { // the newest that lives, or else the newest
			was = engine.Live{Attempt: l.Attempt, Command: l.Command, Pid: l.Pid, Started: l.Started}
		}
		was.Left = left
		live[l.Service] = was
	}
	if err != nil {
		return err
	}
	core.Restore(records, global, live)
	for _, l := range lives {
		d.super.Adopt(l, core.Unready(l.Service))
	}
	return nil
}

// do carries one effect to the room whose business it is. It never blocks.
func (d *daemon) do(e engine.Effect) {
	d.thrift.spend()
	d.faceSaw(&e)
	switch e.Kind {
	case engine.EffectLog:
		d.log.Info(e.Text)
	case engine.EffectInterest:
		d.devices.SetAttrs(e.Interest.Attrs)
		d.links.SetAttrs(e.Interest.Attrs)
		d.links.SetDefaultRoutes(e.Interest.DefaultRoutes)
	case engine.EffectLinkUp:
		select {
		case d.linkUp <- e.Ifindex:
		default:
			d.log.Warn(fmt.Sprintf("link %d: too many links to set up at once", e.Ifindex))
		}
	default:
		d.super.Do(e)
	}
}

func (d *daemon) startSources(running *sync.WaitGroup) {
	sink := func(r object.Report) { d.post(engine.Input{Report: &r}) }
	for _, run := range []func(context.Context, object.Sink) error{
		d.devices.Run, d.links.Run,
		hostwatch.NewMounts(hostwatch.MountsConfig{}).Run, hostwatch.NewClock(hostwatch.ClockConfig{}).Run,
	} {
		running.Go(func() {
			if err := run(d.ctx, sink); err != nil && d.ctx.Err() == nil {
				d.log.Error(err.Error())
			}
		})
	}
	running.Go(func() {
		for {
			select {
			case <-d.ctx.Done():
				return
			case ifindex := <-d.linkUp:
				if err := d.links.SetUp(ifindex); err != nil {
					d.log.Warn(err.Error())
				}
			}
		}
	})
}

// heed waits for the signal that ends the daemon, and tells whether the
// services are to be left to the next one.
func (d *daemon) heed(signals <-chan os.Signal) (leave bool) {
	stopping, upgrades := false, d.upgrades
	for {
		select {
		case <-d.stopped:
			return false
		case d.next = <-upgrades:
			<-d.next.answered
			return true
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				go d.reloadOnSignal()
			case s == syscall.SIGUSR1:
				d.log.Info("leaves the services to the next daemon")
				return true
			case stopping:
				d.log.Warn("told to stop a second time: does not wait any longer")
				return false
			default:
				d.log.Info("stops all services")
				stopping, upgrades = true, nil // a shutdown is in no record: the next image would start all again
				close(d.ending)
				go d.post(engine.Input{Call: &engine.Call{ID: shutdownCall, Verb: engine.VerbShutdown, Timeout: -1}})
			}
		}
	}
}

func (d *daemon) reloadOnSignal() {
	problems, err := d.reload(d.ctx)
	for _, p := range problems {
		d.log.Warn(p.String())
	}
	if err != nil {
		d.log.Error(err.Error())
	}
}

// reload reads the files again; with any error in them, nothing changes.
func (d *daemon) reload(context.Context) ([]toml.Problem, error) {
	d.reloading.Lock() // what was read last is to be in force last
	defer d.reloading.Unlock()
	conf, problems := d.layout.Reload(d.conf)
	if conf == nil {
		return problems, errors.New("reload refused: the configuration has errors; the running one stays")
	}
	d.put(conf)
	d.log.Info(fmt.Sprintf("reloaded: %d rules, %d services", len(conf.Rules), len(conf.Services)))
	return problems, nil
}

// clock is the time of a Step. The monotonic part stands still in a suspend: a
// stop of ten seconds must not become a KILL by sleeping.
func clock() engine.Now {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("hotsvc: no monotonic clock: " + err.Error())
	}
	return engine.Now{Mono: time.Duration(ts.Nano()), Wall: time.Now()}
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// socketEnv tells hsctl which daemon to ask.
const socketEnv = "HOTSVC_SOCKET"

// ownSocket has what services call find this daemon, where it is not the one
// that they would ask anyway.
func ownSocket(path string) error {
	if path == layout.SystemSocket {
		return os.Unsetenv(socketEnv)
	}
	return os.Setenv(socketEnv, path)
}

// baseEnv is the part of the daemon's environment that services get.
func baseEnv() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if p := os.Getenv("PATH"); p != "" {
		env[0] = "PATH=" + p
	}
	for _, name := range []string{"LANG", "TZ", socketEnv} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func groupID(name string) int {
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return -1
	}
	return id
}
