package service

import (
	"time"

	"hotsvc/internal/match"
	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// Definition is one service or, when Name ends in @, the template of many.
type Definition struct {
	Name        string // "dnsmasq", "dhcp@"
	Pos         toml.Pos
	Masked      bool // an empty file: known, shows its holds, never starts
	Description string
	Dialect     Dialect
	Dir         string // the service's own directory, where it has one

	Exec   Exec
	Policy Policy

	// Broken tells why a service that its file does not define, for a problem
	// there, is as good as masked.
	Broken string

	Refs    []Ref // what Needs, Wants and After name, with their places
	Outside []Ref // programs, users, groups and env_files that it names, where no word is in the name
}

// Ref is where a definition names another service, or something of the system.
type Ref struct {
	Key  string // "needs", "exec_start", "user", …
	Name string // {instance} not yet replaced
	Pos  toml.Pos
}

// Exec is what a run is made of. A change of it restarts the service; a run
// keeps the one that it began with until it rests.
type Exec struct {
	Start []string // argv, {word} and {instance} not yet replaced
	Pre   []string
	Stop  []string
	Post  []string

	Type       Type
	Ready      Ready
	ReadyFD    int // with ReadyFD
	Check      []string
	CheckEvery time.Duration

	User         string
	Group        string
	Groups       []string
	Umask        int // -1: 022
	Nice         int
	Limits       []Limit
	Env          []Var
	EnvFile      []string
	Cwd          string
	Capabilities []string // nil: unchanged
	NoNewPrivs   bool
	Log          string // "file" (default), "syslog", "none"; "pipe:NAME": what it says is the input of NAME
	Input        string // the service whose output is stdin; "": /dev/null
	CopyOf       string // directory of which Cwd is made a copy before each start
	InheritEnv   bool   // the daemon's whole environment
	Identity     uint64 // which of the directories that followed each other under one name; 0: not known
}

// Policy is how a service is treated. A change of it applies at once.
type Policy struct {
	PreTimeout      time.Duration
	StartTimeout    time.Duration
	Restart         Restart
	BackoffFirst    time.Duration
	BackoffMax      time.Duration
	ResetAfter      time.Duration
	GiveUpFailures  int // 0: never
	GiveUpWithin    time.Duration
	StopSignal      string        // without SIG
	ShutdownTimeout time.Duration // Never: no KILL
	KillMode        KillMode
	ReloadSignal    string // "": none
	LogFile         LogFile
	Manner          Manner

	Needs, Wants, After []string // {instance} not yet replaced
	Gates               []Gate   `json:"-"` // with those that System made
	System              []string // system_dependencies as written: "TIME", "MOUNTS"
	StartAtBoot         bool
}

// Type is daemon or oneshot.
type Type string

const (
	Daemon  Type = "daemon"
	Oneshot Type = "oneshot" // exit 0 = up until released
)

// Ready says when a started service counts as up.
type Ready string

const (
	ReadyStarted Ready = "started"
	ReadyNotify  Ready = "notify" // sd_notify READY=1
	ReadyFD      Ready = "fd"     // a newline on Exec.ReadyFD
	ReadyCheck   Ready = "check"  // Exec.Check exits 0
)

// Restart says after which ends of the main process a service starts again.
type Restart string

const (
	RestartAlways    Restart = "always"
	RestartOnFailure Restart = "on-failure"
	RestartNever     Restart = "never"
)

// KillMode says which processes a stop reaches after the main one.
type KillMode string

const (
	KillAll  KillMode = "all"
	KillMain KillMode = "main"
)

// Limit is one resource limit by its name in prlimit(1): nofile, core, …
type Limit struct {
	Name string
	Soft uint64 // ^0: unlimited
	Hard uint64
}

// Var is one environment variable.
type Var struct{ Name, Value string }

// Gate is a precondition that the service waits for.
type Gate struct {
	Object object.Kind
	Match  match.Cond
	Once   bool // once it has been open, it counts as open
	Absent bool // open while nothing matches
	Linger time.Duration
	Text   string // for people: "clock { synchronized = true }"
	System string // "TIME" or "MOUNTS": made by system_dependencies
}
