package layout

import "os"

// SystemSocket is where the system's daemon listens, unless it was told otherwise.
const SystemSocket = "/run/hotsvc/control"

// Socket is the control socket to ask: the one that $HOTSVC_SOCKET names, or
// that of the user's own daemon, or else the system's.
func Socket() string {
	if s := os.Getenv("HOTSVC_SOCKET"); s != "" {
		return s
	}
	own := Default()
	if _, err := os.Stat(own.SocketPath()); err == nil {
		return own.SocketPath()
	}
	return SystemSocket
}
