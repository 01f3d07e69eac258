package supervise

import (
	"syscall"
	"time"

	"hotsvc/internal/service"
)

// Tree names the processes of one attempt: the command and all that it begets.
type Tree struct {
	Service string
	Attempt int64
}

// Program is one command to be started in a tree.
type Program struct {
	*service.Spawn
	Key   string // the definition's key that it comes from, for messages: "exec_start"
	Quiet bool   // its output goes nowhere
}

// Kernel is what the supervisor asks of the system. Linux is the real one; a
// test or a simulation brings its own.
type Kernel interface {
	// MakeTree makes the place where an attempt's processes will live, and
	// notes that command is about to be started there.
	MakeTree(Tree, service.Command) error
	// Clone starts a program in a tree. Its error is a *SpawnFailure.
	Clone(Tree, Program) (Process, error)
	// Note adds to the tree's note which process is its main one.
	Note(Tree, service.Command, Process) error
	// Find takes hold of the main process of another daemon's attempt. An error
	// says that it has ended, unless it is of the daemon's own (see lacking).
	Find(t Tree, pid int, started uint64) (Process, error)
	// SignalTree signals every process of a tree. With KILL it reaches those
	// that are forked meanwhile too, or is repeated until TreeState says 0.
	SignalTree(Tree, syscall.Signal) error
	// TreeState counts the processes of a tree that live: zombies do not.
	TreeState(Tree) (int, error)
	// AwaitTree returns when the state may have changed, after d at the latest.
	AwaitTree(Tree, time.Duration)
	// RemoveTree forgets a tree; what still lives there is left alone.
	RemoveTree(Tree)
	// Save writes a record of the run directory; nil removes it.
	Save(name string, record []byte) error
	// Load reads the records and finds what still runs.
	Load() (Loaded, error)
}

// Process is a main process that somebody holds a pidfd of.
type Process interface {
	Pid() int
	Started() uint64 // proc(5) stat field 22
	Signal(syscall.Signal) error
	// Wait returns when the process is gone; false says that Close came first.
	Wait() (service.Exit, bool)
	// HasReady tells whether it has a descriptor to say READY on; Ready returns
	// true when it has written a newline there, and false when it never will.
	HasReady() bool
	Ready() bool
	// Close lets go of the process.
	Close()
}

// Loaded is what an earlier daemon left.
type Loaded struct {
	Records map[string][]byte // by service
	Global  []byte
	Live    []Live
	Damaged []string // what was there and could not be read, a line each
}

// Live is an attempt of which something still runs, or whose process was noted
// and has ended.
type Live struct {
	Tree
	Command service.Command
	Pid     int    // of the main process; 0: it is gone
	Started uint64 // its start time
	Left    int    // how many others there are
}

// SpawnFailure says why a program could not be started, in one line: what,
// which, why, what to do.
type SpawnFailure struct {
	Text   string
	NoExec bool // it will not go away by itself
}

func (f *SpawnFailure) Error() string { return f.Text }
