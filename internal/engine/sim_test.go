package engine

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"hotsvc/internal/hold"
	"hotsvc/internal/object"
	"hotsvc/internal/service"
)

var (
	simSteps = flag.Int64("sim.steps", 1_000_000, "steps of the random walk")
	simSeed  = flag.Uint64("sim.seed", 0, "walk this one episode, with a trace")
)

func itoa(n int) string { return strconv.Itoa(n) }

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &world{r: r, alive: true, epoch: 1, disk: map[string][]byte{}, backlog: map[string][]Effect{}, busy: map[string]bool{}, hung: map[string]bool{},
		starts: map[string]int{}, procs: map[string]*proc{}, left: map[string]*leftover{}, lossy: map[string]bool{},
		calls: map[int64]*Call{}, clients: map[Client]bool{}, now: time.Hour}
	w.shape, w.conf = invent(r)
	w.opt = Options{Version: "sim", Sources: []string{"link", "mount"}, Env: []string{"PATH=/bin"}, Slots: w.r.IntN(3)}
	return w
}

// perturb does one thing to the world.
func (w *world) perturb() {
	k := w.r.IntN(30)
	switch {
	case k < 14:
		w.perturbLinks(k)
	case k < 16:
		w.mount = !w.mount
		if w.mount {
			w.tell("mount", object.Batch{Put: []object.Object{mountObject()}})
		} else {
			w.tell("mount", object.Batch{Gone: []object.Key{mountObject().Life.Key}})
		}
	case k < 17 && len(w.clients) > 0:
		for c := range w.clients {
			delete(w.clients, c)
			if w.alive {
				w.post(Input{Gone: &c}, w.now)
			}
			break
		}
	case k < 19:
		w.reload()
	default:
		w.ask()
	}
}

func (w *world) perturbLinks(k int) {
	if k < 3 || len(w.links) == 0 {
		name := []string{"l0", "l1", "l2", "l3", "e0", "e1"}[w.r.IntN(6)]
		if slices.ContainsFunc(w.links, func(l *link) bool { return l.present && l.name == name }) {
			return
		}
		w.index++
		l := &link{index: w.index, name: name, present: true, running: w.r.IntN(2) == 0}
		w.links = append(w.links, l)
		w.tell("link", object.Batch{Put: []object.Object{l.object()}})
		return
	}
	l := w.links[w.r.IntN(len(w.links))]
	if !l.present {
		return
	}
	switch {
	case k < 5:
		l.present = false
		w.links = slices.DeleteFunc(w.links, func(o *link) bool { return o == l })
		w.tell("link", object.Batch{Gone: []object.Key{object.LinkKey(l.index)}})
		return
	case k < 6 && l.name[0] == 'e':
		for _, name := range []string{"e0", "e1", "e2"} {
			if !slices.ContainsFunc(w.links, func(o *link) bool { return o.name == name }) {
				l.name = name
				break
			}
		}
	case k < 8 && l.running:
		l.flaps++ // down and up again before anybody looked
	default:
		if l.running {
			l.flaps++
		}
		l.running = !l.running
	}
	w.tell("link", object.Batch{Put: []object.Object{l.object()}})
}

// reload puts a configuration in force in which one service runs something else.
func (w *world) reload() {
	name := w.shape.names[w.r.IntN(len(w.shape.names))]
	def := *w.conf.Services[name]
	def.Exec.Start = append(slices.Clone(def.Exec.Start), "x")
	next := *w.conf
	next.Services = map[string]*service.Definition{}
	for n, d := range w.conf.Services {
		next.Services[n] = d
	}
	next.Services[name] = &def
	w.conf = &next
	if w.alive {
		w.inbox = append(w.inbox, Input{Config: w.conf})
		w.step()
	}
}

// ask makes one call.
func (w *world) ask() {
	if !w.alive {
		return
	}
	s := w.shape.names[w.r.IntN(len(w.shape.names)-2)]
	if w.r.IntN(6) == 0 {
		s = []string{"t@e0", "u@e0", "t@e1"}[w.r.IntN(3)]
	}
	verbs := []Verb{VerbRequire, VerbRequire, VerbRequire, VerbRelease, VerbRelease, VerbRelease, VerbHold, VerbStart, VerbStart, VerbStop,
		VerbStop, VerbBlock, VerbUnblock, VerbUnblock, VerbRestart, VerbWait, VerbSuspend, VerbResume, VerbResume, VerbStatus, VerbWhy,
		VerbOnce, VerbOnce, VerbExit, VerbSignal}
	v := verbs[w.r.IntN(len(verbs))]
	w.lastID++
	call := &Call{ID: w.lastID, Verb: v, Services: []string{s}, Timeout: time.Duration(w.r.IntN(20)) * time.Second, NoWait: w.r.IntN(5) == 0}
	call.Peer.UID = w.r.IntN(2)
	if v == VerbSuspend || v == VerbResume {
		call.Services = nil
	}
	if w.r.IntN(3) == 0 {
		call.As = "x"
	}
	if v == VerbHold {
		call.Peer.Client = Client{Pid: 5000 + int(w.lastID), Started: uint64(w.lastID)}
		w.clients[call.Peer.Client] = true
	}
	w.calls[call.ID] = call
	w.inbox = append(w.inbox, Input{Call: call})
	if w.r.IntN(3) > 0 {
		w.step()
	}
	if w.r.IntN(6) == 0 {
		id := call.ID
		w.after(time.Duration(w.r.IntN(4000))*time.Millisecond, w.mine(func() {
			if w.calls[id] != nil {
				delete(w.calls, id)
				w.post(Input{Hangup: id}, w.now)
			}
		}))
	}
}

// episode walks one world through storms and quiet, and checks it in each quiet.
func episode(seed uint64, trace func(string, ...any)) *world {
	w := newWorld(seed)
	w.trace = trace
	w.alive = false
	w.birth()
	for range 4 {
		w.benign, w.crashy = false, w.r.IntN(2) == 0
		for range 25 {
			w.after(time.Duration(w.r.IntN(60_000))*time.Millisecond, w.perturb)
		}
		if !w.run(w.now + time.Minute) {
			break
		}
		w.calm()
		if !w.run(w.now + 10*time.Minute) {
			break
		}
		w.checkQuiet()
		if len(w.failed) > 0 {
			break
		}
		w.quietDeaths()
		if len(w.failed) > 0 {
			break
		}
	}
	return w
}

// calm ends the storm: everything behaves, and what was lost is listed.
func (w *world) calm() {
	w.crashy, w.benign = false, true
	for _, p := range w.procs {
		p.dstate = 0
	}
	if !w.alive {
		w.run(w.now + time.Second)
	}
	w.calls = map[int64]*Call{}
	w.list("link", false)
	w.list("mount", false)
}

// quietDeaths has the daemon die with nothing else going on: nothing may change.
func (w *world) quietDeaths() {
	for _, u := range w.core.Units {
		m := &u.Machine
		latched := u.newest <= u.Latch && (m.Why == service.Failed || m.Why == service.Done)
		if m.State != service.Rest && m.State != service.Up || m.State == service.Rest && u.want == hold.Up && !latched {
			return // something is tried again and again
		}
	}
	starts, signals := map[string]int{}, w.signals
	for s, n := range w.starts {
		starts[s] = n
	}
	for range 2 {
		w.die()
		if !w.run(w.now + 30*time.Second) {
			return
		}
	}
	if !reflect.DeepEqual(starts, w.starts) {
		w.bad("a daemon's death restarted something: %v, now %v", starts, w.starts)
	}
	if signals != w.signals {
		w.bad("a daemon's death signalled something")
	}
	w.checkQuiet()
}

// TestWalk is a random walk of the whole core; see world. Every violation names
// its seed: -sim.seed N prints that episode.
func TestWalk(t *testing.T) {
	if testing.Short() {
		*simSteps = min(*simSteps, 30_000)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many small worlds: memory is not what is short
	if *simSeed != 0 {
		w := episode(*simSeed, func(f string, a ...any) { fmt.Printf(f+"\n", a...) })
		for _, f := range w.failed {
			t.Error(f)
		}
		return
	}
	var (
		mu                        sync.Mutex
		wg                        sync.WaitGroup
		steps, deaths, crashes, n int64
		seed                      uint64
		cells                     [service.States][service.Events]int64
	)
	service.OnVisit(func(s service.State, e service.EventKind) {
		mu.Lock()
		cells[s][e]++
		mu.Unlock()
	})
	defer service.OnVisit(nil)
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				seed++
				mine, stop := seed, steps >= *simSteps || t.Failed()
				mu.Unlock()
				if stop {
					return
				}
				w := episode(mine, nil)
				mu.Lock()
				steps, deaths, crashes, n = steps+w.steps, deaths+w.deaths, crashes+w.crashes, n+1
				for _, f := range w.failed {
					t.Errorf("seed %d: %s", mine, f)
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	t.Logf("%d steps, %d episodes, %d daemon deaths, %d crashes, %.0f steps/s", steps, n, deaths, crashes,
		float64(steps)/time.Since(began).Seconds())
	if *simSteps < 200_000 {
		return // too short to have been everywhere
	}
	for s := range service.States {
		for e := range service.Events {
			if service.Possible(s, e) && cells[s][e] == 0 {
				t.Errorf("cell %v × %v was never visited", s, e)
			}
		}
	}
}
