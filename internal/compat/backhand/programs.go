package backhand

import "hotsvc/internal/compat"

// Programs are the names that these programs are called by.
var Programs = map[string]compat.Program{
	"bh-start":   about(start),
	"bh-stop":    about(stop),
	"bh-stopall": stopall,
	"bh-status":  about(printStatus),
	"bh-require": about(require),
	"bh-release": about(release),

	"semaphore": semaphore,
	"state":     setState,
	"connect":   connect,
	"escort":    escorting(launchGap, killGrace),
}
