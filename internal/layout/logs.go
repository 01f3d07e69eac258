package layout

import (
	"path/filepath"

	"hotsvc/internal/service"
)

// ServiceLog is the directory that a service's output is kept in.
func (l *Layout) ServiceLog(name string) string {
	return filepath.Join(l.LogDir, service.FileName(name))
}
