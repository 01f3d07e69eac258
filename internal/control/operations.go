package control

import (
	"reflect"

	"hotsvc/internal/engine"
	"hotsvc/internal/status"
	"hotsvc/internal/toml"
)

// Interface is the name of hotsvc's own varlink interface.
const Interface = "io.hotsvc"

// Reload and Upgrade are no verbs of the engine's: files are read, and programs
// replaced, outside of it.
const (
	Reload  engine.Verb = "reload"
	Upgrade engine.Verb = "upgrade"
)

// Access says who may use an operation.
type Access uint8

const (
	none  Access = iota // may not even ask
	Read                // root, the daemon's own user, members of the socket's group
	Write               // root and the daemon's own user
)

// String says who may, as documentation does.
func (a Access) String() string {
	if a == Read {
		return "the socket's group"
	}
	return "root and the daemon's user"
}

// Names says which services an operation is about.
type Names uint8

const (
	NoNames  Names = iota
	OneName        // exactly one
	AllNames       // one or more
	Patterns       // any number of globs; none means every service
)

// Operation is one row of the table: what can be asked, by whom, and what the
// answer looks like.
type Operation struct {
	Verb    engine.Verb
	Method  string
	Access  Access
	Names   Names
	Takes   []string // further parameters, by their names in Params
	Waits   bool     // answers when it is done: takes timeout_ms and no_wait
	Streams bool     // answers again and again; the caller must say "more"
	Field   string   // the one field of the answer
	Gives   any      // a value of that field's type
	Text    string
}

// Operations is the table. Everything else about the interface follows from it.
var Operations = []Operation{
	{engine.VerbStatus, "Status", Read, Patterns, nil, false, false,
		"report", status.Report{}, "Tells how the services are whose names match a pattern."},
	{engine.VerbWhy, "Why", Read, OneName, []string{"not"}, false, false,
		"why", status.Why{}, "Tells why a service runs or does not run."},
	{engine.VerbWait, "Wait", Read, AllNames, []string{"for"}, true, false,
		"done", []status.Done{}, "Waits until services are up or down; with timeout_ms 0 it asks."},
	{engine.VerbObjects, "Objects", Read, NoNames, []string{"kind", "match"}, false, false,
		"objects", []status.Object{}, "Lists what the system has now."},
	{engine.VerbRules, "Rules", Read, NoNames, nil, false, false,
		"rules", []status.Rule{}, "Lists the rules and what they do now."},
	{engine.VerbMonitor, "Monitor", Read, Patterns, nil, false, true,
		"changes", []status.Change{}, "Tells transitions as they happen; a gap in count says that some were skipped."},
	{engine.VerbRecord, "Record", Write, NoNames, nil, false, true,
		"journal", "", "Tells what the daemon knows, then all that it is told and decides, as text: one line of JSON each."},
	{engine.VerbRequire, "Require", Write, AllNames, []string{"as"}, true, false,
		"done", []status.Done{}, "Takes a hold on services. One that fails leaves no hold."},
	{engine.VerbRelease, "Release", Write, AllNames, []string{"as"}, true, false,
		"done", []status.Done{}, "Ends a hold that Require took."},
	{engine.VerbHold, "Hold", Write, AllNames, nil, true, false,
		"done", []status.Done{}, "Takes a hold on services that ends with the calling process."},
	{engine.VerbStart, "Start", Write, AllNames, nil, true, false,
		"done", []status.Done{}, "Undoes Stop or Block; holds the services if nothing else does."},
	{engine.VerbStop, "Stop", Write, AllNames, nil, true, false,
		"done", []status.Done{}, "Stops services until they are started or all that held them is gone."},
	{engine.VerbRestart, "Restart", Write, AllNames, nil, true, false,
		"done", []status.Done{}, "Stops and starts services and forgets their failures."},
	{engine.VerbReloadService, "ReloadService", Write, AllNames, nil, false, false,
		"done", []status.Done{}, "Sends services their reload_signal."},
	{engine.VerbOnce, "Once", Write, AllNames, nil, false, false,
		"done", []status.Done{}, "Leaves what runs to its end and runs what rests one time more; neither is started again."},
	{engine.VerbSignal, "Signal", Write, AllNames, []string{"signal"}, false, false,
		"done", []status.Done{}, "Sends services' main processes a signal, by its name without SIG."},
	{engine.VerbExit, "Exit", Write, AllNames, nil, false, false,
		"done", []status.Done{}, "Ends runs and forgets what people said of the services; what holds them otherwise starts them anew."},
	{engine.VerbBlock, "Block", Write, AllNames, nil, true, false,
		"done", []status.Done{}, "Keeps services down until Unblock, Start or the next boot."},
	{engine.VerbUnblock, "Unblock", Write, AllNames, nil, false, false,
		"done", []status.Done{}, "Ends Stop and Block."},
	{engine.VerbStopAll, "StopAll", Write, NoNames, nil, true, false,
		"done", []status.Done{}, "Stops everything, also what appears later, and waits for it."},
	{engine.VerbSuspend, "Suspend", Write, NoNames, nil, false, false,
		"done", []status.Done{}, "Orders everything down and keeps it down until Resume."},
	{engine.VerbResume, "Resume", Write, NoNames, nil, false, false,
		"done", []status.Done{}, "Ends StopAll and Suspend."},
	{Reload, "Reload", Write, NoNames, nil, false, false,
		"problems", []toml.Problem{}, "Reads the configuration again. One with errors changes nothing."},
	{Upgrade, "Upgrade", Write, NoNames, []string{"binary"}, false, false,
		"done", []status.Done{}, "Goes on as another program, in the same process; without binary, as the one that stands where this one was started from. One that cannot read the configuration or the state is refused."},
}

// Find returns the row of a verb, or nil.
func Find(verb engine.Verb) *Operation {
	for i := range Operations {
		if Operations[i].Verb == verb {
			return &Operations[i]
		}
	}
	return nil
}

// Params are the parameters of every operation; each takes only some.
type Params struct {
	Services []string `json:"services,omitempty"`
	As       string   `json:"as,omitempty"`     // the name of an idempotent holder
	For      string   `json:"for,omitempty"`    // up (default) or down
	Not      bool     `json:"not,omitempty"`    // why it does not run, even if it does
	Signal   string   `json:"signal,omitempty"` // without SIG
	Kind     string   `json:"kind,omitempty"`   // of objects
	Match    string   `json:"match,omitempty"`  // a TOML table like a rule's match
	Binary   string   `json:"binary,omitempty"`
	Timeout  *int64   `json:"timeout_ms,omitempty"`
	NoWait   bool     `json:"no_wait,omitempty"`
}

// parameters lists the names of an operation's parameters beyond the services.
func (o *Operation) parameters() []string {
	if o.Waits {
		return append(o.Takes[:len(o.Takes):len(o.Takes)], "timeout_ms", "no_wait")
	}
	return o.Takes
}

// paramField returns the field of Params with that name on the wire.
func paramField(name string) reflect.StructField {
	t := reflect.TypeFor[Params]()
	for i := range t.NumField() {
		if wireName(t.Field(i)) == name {
			return t.Field(i)
		}
	}
	panic("control: the table names a parameter that Params does not have: " + name)
}
