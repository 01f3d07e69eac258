package layout

import (
	"os"

	"hotsvc/internal/trust"
)

// SystemSocket is where the system's daemon listens, unless it was told otherwise.
const SystemSocket = "/run/hotsvc/control"

// Socket is the control socket to ask: the one that $HOTSVC_SOCKET names, or
// that of the user's own daemon, or else the system's.
func Socket() string {
	if s := os.Getenv("HOTSVC_SOCKET"); s != "" {
		return s
	}
	own := Default()
	// Without $XDG_RUNTIME_DIR it is below /tmp, where anybody may have been first.
	if _, err := os.Stat(own.SocketPath()); err == nil && trust.New().File(own.RunDir) == nil {
		return own.SocketPath()
	}
	return SystemSocket
}
