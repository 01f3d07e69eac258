package service

import (
	"path"
	"strings"
	"time"
)

// Dialect is the system in whose form a service was written. It decides who
// reads the files and what the defaults are; once there is a Definition,
// nothing asks for it but people.
type Dialect string

const (
	Native   Dialect = "native"   // NAME.toml
	Runit    Dialect = "runit"    // NAME/ with run, finish, check, down, control/, log/
	Backhand Dialect = "backhand" // NAME/ with pre, run, post
	Sysmgr   Dialect = "sysmgr"   // an executable NAME
	Hermit   Dialect = "hermit"   // NAME.toml with hermit's keys
)

// Dialects are all of them, as people name them.
var Dialects = []Dialect{Native, Runit, Backhand, Sysmgr, Hermit}

// Manner is how dialects differ beyond what the keys of a file can say. The
// zero value is the native one.
type Manner struct {
	PreOnce     bool          // no exec_start_pre when the last run crashed
	PreFinal    bool          // an exec_start_pre that fails is not tried again
	PreIgnored  bool          // how exec_start_pre ends does not matter
	PostOnStop  bool          // exec_stop_post only after a stop, not after a crash
	PostCounts  bool          // an exec_stop_post that fails makes the stop fail
	PostTimeout time.Duration // of exec_stop_post; 0: 10 s
	FromStart   bool          // backoff counts from the start of the run that ended
	RetryExec   bool          // what cannot be executed is tried again
	Control     []string      // scripts that run before a signal, by path: DIR/control/t
}

// Never is a ShutdownTimeout after which nothing is killed.
const Never time.Duration = -1

// ControlScript returns the script that stands before a command of runit's
// (runsv(8), "custom control"), or "".
func (m *Manner) ControlScript(letter string) string {
	for _, script := range m.Control {
		if path.Base(script) == letter {
			return script
		}
	}
	return ""
}

// Literal is a text in which ReplaceWords replaces nothing.
func Literal(text string) string { return strings.ReplaceAll(text, "{", "{{") }

// LoggerOf names the service that reads the output of another: the log/run of a
// directory.
func LoggerOf(service string) string { return service + "/log" }
