//go:build amd64 || arm64

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// deathsEnv says at which effects TestDaemonDiesAtEveryEffect kills: a few, or "all"
// (make crash), a number of them, or those of one play: "rename run/global #3, open run/lock #2".
const deathsEnv = "HOTSVC_E2E_DEATHS"

const (
	sampled    = 4 // deaths in each quarter, where not all are asked for
	manyOfKind = 6 // no more of one kind: lines of a log are all alike
)

// A story is played again and again. Each time the daemon is killed at another of
// its effects, and every second time the next daemon is killed, too, soon after.
// At the end all must be as if nobody had died.
func TestDaemonDiesAtEveryEffect(t *testing.T) {
	for _, with := range []string{"cgroups", "no cgroups"} {
		for quarter := range 2 {
			t.Run(fmt.Sprint(with, " ", quarter), func(t *testing.T) {
				t.Parallel()
				livetest.Namespace(t, func(t *testing.T) {
					if with == "cgroups" && !mountCgroups(t) {
						t.Skip("no cgroup2 to write to here")
					}
					watchable(t)
					first := &drama{machine: newMachine(t)}
					began := time.Now()
					t.Run("nobody dies", func(t *testing.T) { first.enact(t) })
					if t.Failed() {
						return
					}
					t.Logf("%d effects in %.1f s", len(first.w.order), time.Since(began).Seconds())
					deaths(t, first, quarter)
				})
			})
		}
	}
}

// enact plays once, on a machine of its own, with these deaths.
func (d *drama) enact(t *testing.T, deaths ...effect) {
	d.machine = newMachine(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("processes:\n%s\nthe daemons said:\n%s", d.tree(), strings.Join(d.lines("said"), "\n"))
			logs, _ := filepath.Glob(d.Path("log/*/current"))
			for _, log := range logs {
				text, _ := os.ReadFile(log)
				t.Logf("%s:\n%.2000q", log, text)
			}
		}
	})
	d.w = newWatch(d.Dir, deaths...)
	d.scene()
	d.play()
}

// deaths plays the story once for each of its effects.
func deaths(t *testing.T, first *drama, part int) {
	points := slices.DeleteFunc(slices.Clone(first.w.order), func(e effect) bool { return e.n > manyOfKind })
	var plays [][]effect
	only := os.Getenv(deathsEnv)
	sample, err := strconv.Atoi(only)
	if only == "" {
		sample, err = sampled, nil
	}
	switch {
	case err == nil:
		rand.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		points = points[:min(sample, len(points))]
	case only == "all":
		points = slices.DeleteFunc(points, func(e effect) bool { return (e.n+len(e.kind))%2 != part })
	default:
		points, plays = nil, [][]effect{nil}
		for e := range strings.SplitSeq(only, ", ") {
			kind, n, _ := strings.Cut(e, " #")
			number, err := strconv.Atoi(n)
			must(t, err)
			plays[0] = append(plays[0], effect{kind, number})
		}
	}
	for i, e := range points {
		plays = append(plays, []effect{e})
		if i%2 == 1 {
			plays[i] = append(plays[i], effect{n: 1 + rand.IntN(80)})
		}
	}
	died, twice := 0, 0
	for i, at := range plays {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			d := &drama{midst: first.midst, end: first.end}
			defer func() {
				died += min(1, len(d.w.died))
				twice += max(0, len(d.w.died)-1)
				if t.Failed() {
					t.Logf("again: %s='%s' go test ./internal/e2e -run '%s'", deathsEnv, list(d.w.died), strings.Replace(t.Name(), fmt.Sprint("/", i), "$", 1))
				}
			}()
			d.enact(t, at...)
		})
	}
	t.Logf("%d plays, the daemon died in %d, in %d of them the next one, too", len(plays), died, twice)
	if died < len(plays)*3/4 {
		t.Errorf("too few of the effects came again")
	}
}

func list(effects []effect) string {
	var all []string
	for _, e := range effects {
		all = append(all, e.String())
	}
	return strings.Join(all, ", ")
}
