package object

// SourceState says what a source knows at the moment.
type SourceState string

const (
	Starting  SourceState = "starting"  // nothing listed yet
	Synced    SourceState = "synced"    // all that exists has been told
	Resyncing SourceState = "resyncing" // messages were lost; listing again
	Failed    SourceState = "failed"    // gave up; Report.Error says why
	Absent    SourceState = "absent"    // this system has no such thing
)

// SourceStatus is a source's state with its counts since the daemon started.
type SourceStatus struct {
	Name    string      `json:"name"` // "uevent", "link", "wifi", "mount", "clock"
	State   SourceState `json:"state"`
	Resyncs uint64      `json:"resyncs"` // lists made because messages were lost
	Events  uint64      `json:"events"`  // messages from the kernel that were believed
	Lost    uint64      `json:"lost"`    // overflows of the socket: at least so many messages are missing
	Refused uint64      `json:"refused"` // forged or malformed messages that were not believed
	Error   string      `json:"error"`
}

// Report is what a source puts in the inbox: what changed, if anything did, and
// how the source is. The first full batch comes with State Synced.
type Report struct {
	Status SourceStatus `json:"status"`
	Batch  *Batch       `json:"batch,omitempty"`
}

// Sink takes a source's reports, in order. It blocks while the inbox is full:
// the socket then overflows, and the source lists again.
type Sink func(Report)
