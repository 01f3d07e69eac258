package e2e_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/svlog"
)

// counterFile makes this binary a service that says a number a millisecond, and
// at its end writes to that file how many it was.
const counterFile = "HOTSVC_E2E_COUNTER"

// killsEnv is how often TestNumbersSurviveEveryKill and TestDaemonDiesUnderLoad
// kill: make crash.
const killsEnv = "HOTSVC_E2E_KILLS"

func init() {
	file := os.Getenv(counterFile)
	if file == "" {
		return
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	n := 0
	for tick := time.NewTicker(time.Millisecond); ; n++ {
		select {
		case <-end:
			os.WriteFile(file+".new", []byte(strconv.Itoa(n)), 0o644)
			os.Rename(file+".new", file)
			os.Exit(0)
		case <-tick.C:
			if _, err := fmt.Println(n); err != nil {
				os.Exit(1)
			}
		}
	}
}

// The daemon is killed at random moments while a service says a number a
// millisecond: each is in the log, once.
func TestNumbersSurviveEveryKill(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(killsEnv))
	if err != nil {
		kills = 40
	}
	live(t, func(m *machine) {
		m.counter("")
		m.boot()
		m.do("start", "count")
		pid := m.Main("count")
		began := time.Now()
		amidst := 0 // of a transaction
		for range kills {
			m.End(syscall.SIGKILL)
			amidst += m.openMarks()
			m.Launch(m.command())
			time.Sleep(time.Duration(rand.Int63n(int64(80 * time.Millisecond)))) // at any moment of it
		}
		m.End(syscall.SIGKILL)
		m.boot()
		if now := m.Main("count"); now != pid {
			m.Errorf("pid %d, before %d", now, pid)
		}
		took := time.Since(began)
		m.do("stop", "count")
		said, err := strconv.Atoi(m.lines("said")[0])
		must(m.T, err)
		var lines []string
		m.Until("the last number is in the log", func() bool {
			lines = m.log("count")
			return len(lines) > 0 && lines[len(lines)-1] == itoa(said-1)
		})
		seen := map[string]int{}
		for _, line := range lines {
			seen[line]++
		}
		lost, doubled := 0, 0
		for n := range said {
			switch seen[itoa(n)] {
			case 0:
				lost++
			case 1:
			default:
				doubled++
			}
			delete(seen, itoa(n))
		}
		m.Logf("%d kills in %.0f s, %d of them while something was being carried; %d lines: %d lost, %d doubled, %d others",
			kills+1, took.Seconds(), amidst, said, lost, doubled, len(seen))
		if lost+doubled+len(seen) > 0 || said < 10*kills {
			m.Errorf("others: %.10v", seen)
		}
		for i, line := range lines {
			if line != itoa(i) {
				m.Fatalf("line %d is %s", i, line)
			}
		}
	})
}

// counter defines the service that counts.
func (m *machine) counter(more string) {
	m.Helper()
	self, err := os.Executable()
	must(m.T, err)
	m.service("count", fmt.Sprintf("exec_start = [%q]\nenv = { %s = %q }\n%s", self, counterFile, m.Path("said"), more))
}

// How a log is kept counts at once, and restarts nothing.
func TestLogIsKeptAnotherWayFromNowOn(t *testing.T) {
	live(t, func(m *machine) {
		m.counter("")
		m.boot()
		m.do("start", "count")
		pid := m.Main("count")
		m.Until("it says something", func() bool { return len(m.Get("count").LogTail) > 1 })
		m.counter(`log = { max_size = "4kB", keep = 2, stamp = "tai64n" }`)
		m.do("reload")
		m.Until("two old files are kept", func() bool {
			old, _ := filepath.Glob(m.Path("log/count/@*.s"))
			text, _ := os.ReadFile(m.Path("log/count/current"))
			return len(old) == 2 && len(text) > 0 && text[0] == '@'
		})
		if now := m.Main("count"); now != pid {
			m.Errorf("pid %d, before %d", now, pid)
		}
	})
}

// openMarks counts the transactions that a daemon died in: see internal/svlog/mark.go.
func (m *machine) openMarks() (n int) {
	marks, _ := os.ReadFile(m.Path("run/marks"))
	for at := 64; at+64 <= len(marks); at += 64 {
		if binary.NativeEndian.Uint64(marks[at:]) != 0 {
			n++
		}
	}
	return n
}

// log is all that a service said, without the stamps.
func (m *machine) log(name string) (lines []string) {
	m.Helper()
	r, err := svlog.OpenReader(m.Path(filepath.Join("log", name)), svlog.ReadOptions{Last: -1})
	must(m.T, err)
	defer r.Close()
	for {
		line, err := r.Next(context.Background())
		if err == io.EOF {
			return lines
		}
		must(m.T, err)
		_, text, ok := svlog.ParseStamp(line)
		if !ok {
			m.Errorf("no stamp: %q", line)
		}
		lines = append(lines, string(text))
	}
}
