package engine

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotsvc/internal/config"
	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/rule"
	"hotsvc/internal/service"
)

// bench is a core on a machine of 400 devices, with its services up. What it
// starts answers at once.
type bench struct {
	*Core
	now Now
}

func newBench(rules []rule.Rule, services, gated int) *bench {
	conf := &config.Config{Rules: rules, Services: map[string]*service.Definition{}}
	for i := range services {
		d := service.New(fmt.Sprintf("service%d", i))
		d.Exec.Start = []string{"/bin/sleep", "1000"}
		d.Policy.StartAtBoot = true
		if i%10 == 1 {
			d.Policy.Needs = []string{fmt.Sprintf("service%d", i-1)}
		}
		if i%10 == 2 {
			d.Policy.After = []string{fmt.Sprintf("service%d", i-1)}
		}
		if i < gated {
			d.Policy.Gates = []service.Gate{{Object: object.Mount, Match: match.Must(`{ target = "/data" }`)}}
		}
		conf.Services[d.Name] = &d
	}
	b := &bench{now: Now{Mono: time.Hour, Wall: time.Unix(1e9, 0)}}
	b.Core = New(Options{Sources: []string{"uevent", "link", "mount", "clock"}}, conf, b.now)
	var devices []object.Object
	for i := range 400 {
		devices = append(devices, device(i, 0))
	}
	b.tell("uevent", object.Batch{Full: true, Kinds: []object.Kind{object.Device}, Put: devices})
	b.tell("link", object.Batch{Full: true, Kinds: []object.Kind{object.Link}})
	b.tell("clock", object.Batch{Full: true, Kinds: []object.Kind{object.Clock}})
	mount := object.Object{Life: object.Life{Key: object.Key{Kind: object.Mount, ID: "/data"}}, Words: object.Words{"target": {"/data"}}}
	b.tell("mount", object.Batch{Full: true, Kinds: []object.Kind{object.Mount}, Put: []object.Object{mount}})
	for _, u := range b.order {
		if u.Machine.State != service.Up {
			panic(fmt.Sprintf("%s is %v, not up", u.Name, u.Machine.State))
		}
	}
	return b
}

func device(i, charge int) object.Object {
	path := fmt.Sprintf("/devices/pci0000:00/0000:00:14.0/usb1/1-%d", i)
	return object.Object{
		Life: object.Life{Key: object.Key{Kind: object.Device, ID: path}, Incarnation: uint64(i)},
		Words: object.Words{"SUBSYSTEM": {"usb"}, "DEVTYPE": {"usb_device"}, "DEVPATH": {path}, "KERNEL": {fmt.Sprintf("1-%d", i)},
			"DEVNAME": {fmt.Sprintf("bus/usb/001/%03d", i)}, "PRODUCT": {"525/a4a2/0"}, "ATTR{idVendor}": {"0525"}, "CHARGE": {itoa(charge)}},
		Cause: "uevent change",
	}
}

func (b *bench) tell(source string, batch object.Batch) {
	b.step([]Input{{Report: &object.Report{Status: object.SourceStatus{Name: source, State: object.Synced}, Batch: &batch}}})
}

func (b *bench) step(in []Input) {
	for len(in) > 0 {
		effects, _ := b.Step(b.now, in)
		in = in[:0]
		for _, e := range effects {
			if e.Kind == EffectSpawn {
				in = append(in, Input{Process: &ProcessEvent{Service: e.Service, Event: service.Event{Kind: service.Spawned, Attempt: e.Attempt, Pid: 1}}})
			}
		}
	}
}

// benchRules are rules of the kinds that people write, none of which is for
// the devices of a bench.
func benchRules(n int) []rule.Rule {
	rules := make([]rule.Rule, n)
	for i := range rules {
		r := rule.Rule{Name: "r" + itoa(i), Object: object.Device, Require: []string{"service0"}}
		switch i % 4 {
		case 0:
			r.Match = match.Must(fmt.Sprintf(`{ SUBSYSTEM = "usb", "ATTR{idVendor}" = "1%03x" }`, i))
		case 1:
			r.Match = match.Must(fmt.Sprintf(`{ SUBSYSTEM = "tty", DEVNAME = "ttyUSB%d" }`, i))
		case 2:
			r.Match = match.Must(fmt.Sprintf(`{ SUBSYSTEM = "block", ID_FS_LABEL = "disk%d*" }`, i))
		case 3:
			r.Object = object.Link
			r.Match = match.Must(fmt.Sprintf(`{ name = "eth%d", running = true }`, i))
		}
		rules[i] = r
	}
	return rules
}

// One event that no rule matches, from its report to the (empty) list of
// effects.
func BenchmarkEvent(b *testing.B) {
	for _, size := range []struct{ rules, services int }{{10, 10}, {1000, 10}, {10_000, 10}, {10, 1000}} {
		b.Run(fmt.Sprintf("rules=%d/services=%d", size.rules, size.services), func(b *testing.B) {
			core := newBench(benchRules(size.rules), size.services, 0)
			var in [2][]Input
			for i := range in {
				batch := object.Batch{Put: []object.Object{device(7, i)}}
				in[i] = []Input{{Report: &object.Report{Status: core.Sources["uevent"], Batch: &batch}}}
			}
			b.ReportAllocs()
			busy(b, func(n int) {
				if effects, _ := core.Step(core.now, in[n&1]); len(effects) > 0 {
					b.Fatalf("%+v", effects)
				}
			})
		})
	}
}

// A full pass over services that are as they should be.
func BenchmarkPlan(b *testing.B) {
	for _, gated := range []int{0, 1000} {
		b.Run(fmt.Sprintf("services=1000/gated=%d", gated), func(b *testing.B) {
			core := newBench(nil, 1000, gated)
			b.ReportAllocs()
			busy(b, func(int) {
				core.replan = true
				if effects, _ := core.Step(core.now, nil); len(effects) > 0 {
					b.Fatalf("%+v", effects)
				}
			})
		})
	}
}

// busy runs the loop of a benchmark and also reports the processor's time, which
// says more than the clock where others work on the same machine.
func busy(b *testing.B, once func(n int)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Rusage
	n := 0
	for b.Loop() {
		if n == 0 {
			unix.Getrusage(unix.RUSAGE_THREAD, &before)
		}
		once(n)
		n++
	}
	unix.Getrusage(unix.RUSAGE_THREAD, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(n), "cpu-ns/op")
}
