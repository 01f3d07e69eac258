// Command testlog reads `go test -json` and prints what a person wants to know:
// why tests were skipped, all that a failed test said, and a line a package.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct{ Action, Package, Test, Output string }

func main() {
	said := map[string]*strings.Builder{} // by package and test
	failed := false
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // a build error
			continue
		}
		key := e.Package + " " + e.Test
		if said[key] == nil {
			said[key] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			if e.Action == "build-output" || e.Test == "" && strings.HasPrefix(e.Output, "panic") {
				fmt.Print(e.Output)
			}
			if !strings.HasPrefix(e.Output, "=== ") {
				said[key].WriteString(e.Output)
			}
		case "skip":
			if e.Test != "" {
				fmt.Printf("skipped %s: %s\n", e.Test, reason(said[key].String()))
			}
		case "fail":
			failed = true
			fmt.Printf("FAIL %s\n%s", key, said[key])
		case "pass":
			if e.Test == "" {
				for line := range strings.Lines(said[key].String()) {
					if strings.HasPrefix(line, "ok ") {
						fmt.Print(line)
					}
				}
			}
		}
		if e.Action == "pass" || e.Action == "skip" || e.Action == "fail" {
			delete(said, key)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// reason is the line that a skipped test said.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "---") {
			return text
		}
	}
	return "without a reason"
}
