package service

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/state-machine.md")

const diagramFile = "../../docs/state-machine.md"

// TestDiagram compares docs/state-machine.md with what the machine does when it
// is tried in every state with every event.
func TestDiagram(t *testing.T) {
	want := diagram()
	if *update {
		if err := os.WriteFile(diagramFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(diagramFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/state-machine.md is not of this machine: go test ./internal/service -run TestDiagram -update")
	}
}

// The ways in which a cell is tried: definitions, processes, and details of the event.
var (
	tryDefs   = []string{"", "pre", "post", "notify", "oneshot", "oneshot undo", "idle", "pre idle", "on-failure"}
	tryAts    = []string{"", "none", "in-flight", "killed", "adopted", "undo", "undo in-flight", "post", "post in-flight", "none crash", "crash", "clean", "refused"}
	tryEvents = map[EventKind][]string{Exited: {"exit 0", "exit 1"}, SpawnError: {"spawn error", "spawn error no-exec"}}
)

// outcomesOf lists where a cell leads, with what is done on the way.
func outcomesOf(s State, k EventKind) []string {
	events := tryEvents[k]
	if events == nil {
		events = []string{k.String()}
	}
	seen := map[string]bool{}
	for _, def := range tryDefs {
		for _, at := range tryAts {
			for _, event := range events {
				d, m := parts(def, strings.TrimSpace(s.String()+" "+at))
				if !plausible(d, m, k) {
					continue
				}
				acts := m.Step(now, d, parseEvent(event))
				text := "·"
				if m.State != s {
					text = "→ " + m.State.String()
				}
				for _, a := range acts {
					what := attemptActs[a.Act]
					if a.Act == ActSpawn {
						what += " " + a.Command.String()
					}
					text += ", " + what
				}
				seen[strings.TrimPrefix(strings.TrimPrefix(text, "·, "), "· ")] = true
			}
		}
	}
	var out []string
	for text := range seen {
		out = append(out, text)
	}
	slices.Sort(out)
	if i := slices.Index(out, "·"); i >= 0 && len(out) > 1 { // nothing, unless …
		out = append(slices.Delete(out, i, i+1), "·")
	}
	return out
}

// plausible leaves out what cannot come together: an exit without a process, a
// post in starting.
func plausible(d *Definition, m *Machine, k EventKind) bool {
	switch k {
	case Spawned, SpawnError:
		if m.Process != InFlight {
			return false
		}
	case Exited:
		if m.Process != Known {
			return false
		}
	}
	has := map[Command]bool{CommandMain: len(d.Exec.Start) > 0, CommandPre: len(d.Exec.Pre) > 0, CommandPost: len(d.Exec.Post) > 0, CommandUndo: len(d.Exec.Stop) > 0}
	if m.Process != NoProcess && !has[m.Command] {
		return false
	}
	switch m.State {
	case Rest:
		return m.Process == NoProcess && !m.Killed
	case Pre:
		return m.Command == CommandPre && m.Process != NoProcess && !m.Killed && !m.Adopted
	case Starting:
		return m.Command == CommandMain && m.Process != NoProcess && !m.Killed
	case Up:
		return m.Command == CommandMain && !m.Killed && (m.Process == NoProcess) == (d.Exec.Type == Oneshot || len(d.Exec.Start) == 0)
	case Stopping:
		return m.Process != NoProcess && (m.Command == CommandMain || m.Command == CommandUndo)
	case Sweeping:
		return m.Process == NoProcess && m.Command == CommandMain
	case Post:
		return m.Command == CommandPost && m.Process != NoProcess
	}
	return m.Command != CommandUndo || m.Process != NoProcess
}

func diagram() string {
	var b strings.Builder
	b.WriteString("# The machine of a service\n\nMade from internal/service/table.go by `go test ./internal/service -run TestDiagram -update`; do not edit.\n\n")
	b.WriteString("`→ state` is where an event leads, then what is done; several ways depend on the definition, the process and the\n")
	b.WriteString("outcome. `·` changes nothing that shows here. An empty cell cannot happen: the machine panics. Start and stop come from\n")
	b.WriteString("the plan alone; the machine starts nothing by itself. Why it rests: ")
	var reasons []string
	for w := range whys {
		reasons = append(reasons, w.String())
	}
	b.WriteString(strings.Join(reasons, ", ") + ".\n\n| |")
	for k := range Events {
		fmt.Fprintf(&b, " %v |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(Events)) + "\n")
	edges := map[string]bool{}
	for s := range States {
		fmt.Fprintf(&b, "| **%v** |", s)
		for k := range Events {
			if !Possible(s, k) {
				b.WriteString(" |")
				continue
			}
			ways := outcomesOf(s, k)
			fmt.Fprintf(&b, " %s |", strings.Join(ways, "<br>"))
			for _, w := range ways {
				if to, ok := strings.CutPrefix(w, "→ "); ok {
					to, _, _ = strings.Cut(to, ",")
					edges[fmt.Sprintf("    %v --> %s: %v", s, to, k)] = true
				}
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n    [*] --> rest\n")
	for s := range States { // in the order of the states and events
		for k := range Events {
			for to := range States {
				if e := fmt.Sprintf("    %v --> %v: %v", s, to, k); edges[e] {
					b.WriteString(e + "\n")
				}
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// TestDiagramKnowsEveryWay: whatever the stories of TestCells come to, the
// diagram shows.
func TestDiagramKnowsEveryWay(t *testing.T) {
	for line := range strings.Lines(cells) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) < 4 {
			continue
		}
		d, m := parts(strings.TrimSpace(f[0]), strings.TrimSpace(f[1]))
		from, e := m.State, parseEvent(strings.TrimSpace(f[2]))
		m.Step(now, d, e)
		ways := strings.Join(outcomesOf(from, e.Kind), "; ")
		if m.State != from && !strings.Contains(ways, "→ "+m.State.String()) {
			t.Errorf("%v × %v leads to %v, the diagram says %s", from, e.Kind, m.State, ways)
		}
	}
}
