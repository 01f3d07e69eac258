package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// core runs the benchmarks of the engine, which has no reference but itself.
func core() ([]row, error) {
	cmd := exec.Command(filepath.Join(*tools, "engine"), "-test.run=^$", "-test.bench=^Benchmark(Event|Plan)$", "-test.benchtime=0.3s", "-test.count=5")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	took := map[string]sample{} // µs
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		at := slices.Index(f, "cpu-ns/op") // the clock also counts what others do here
		if at < 1 {
			continue
		}
		name, _, _ := strings.Cut(f[0], "-")
		ns, err := strconv.ParseFloat(f[at-1], 64)
		if err != nil {
			return nil, err
		}
		took[name] = append(took[name], ns/1000)
	}
	event := func(rules, services int) sample {
		return took[fmt.Sprintf("BenchmarkEvent/rules=%d/services=%d", rules, services)]
	}
	plan := func(gated int) sample { return took[fmt.Sprintf("BenchmarkPlan/services=1000/gated=%d", gated)] }
	for _, s := range []sample{event(10, 10), event(1000, 10), event(10000, 10), event(10, 1000), plan(0), plan(1000)} {
		if len(s) == 0 {
			return nil, fmt.Errorf("a benchmark is missing: %s", out)
		}
	}
	return []row{
		within("one event that matches nothing, 10 rules", event(10, 10), "µs", 10),
		beside("  1 000 rules, beside 10", event(1000, 10), event(10, 10), "µs", 3),
		beside("  10 000 rules, beside 1 000", event(10000, 10), event(1000, 10), "µs", 1.5),
		within("  10 rules, 1 000 services", event(10, 1000), "µs", 10),
		within("a plan pass over 1 000 services", plan(0), "µs", 50),
		told("  each with a gate", plan(1000).spread("µs")),
	}, nil
}
