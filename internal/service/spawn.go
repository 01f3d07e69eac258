package service

// Spawn is everything that the process edge needs to start one command: all
// words are replaced, nothing is looked up in the definition any more.
type Spawn struct {
	Service string  `json:"service"`
	Attempt int64   `json:"attempt"`
	Command Command `json:"command"`

	Argv       []string `json:"argv"`
	Env        []string `json:"env"` // NAME=value, complete but for EnvFile
	EnvFile    []string `json:"env_file,omitempty"`
	Cwd        string   `json:"cwd"`
	User       string   `json:"user,omitempty"`
	Group      string   `json:"group,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	Umask      int      `json:"umask"`
	Nice       int      `json:"nice,omitempty"`
	Limits     []Limit  `json:"limits,omitempty"`
	Caps       []string `json:"capabilities,omitempty"`
	NoNewPrivs bool     `json:"no_new_privileges,omitempty"`
	Log        string   `json:"log,omitempty"`
	LogFile    LogFile  `json:"log_file,omitzero"`
	Input      string   `json:"input,omitempty"`
	CopyOf     string   `json:"copy_of,omitempty"`

	// Readiness, for the main command of a daemon.
	Ready      Ready    `json:"ready,omitempty"`
	ReadyFD    int      `json:"ready_fd,omitempty"`
	Check      []string `json:"check,omitempty"`
	CheckEvery int64    `json:"check_every,omitempty"` // nanoseconds
}
