package svlog

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

// daemonInfo is the priority of a line: facility daemon, severity info.
const daemonInfo = 3<<3 | 6

const (
	syslogLine     = 8000        // bytes of a line in one datagram; a longer one is several
	syslogPatience = time.Second // for a system logger that does not keep up
)

// Syslog is a Sink that hands each line to the system's logger, in the form that
// libc's syslog(3) has for it (RFC 3164). What nobody takes is dropped and
// counted. After a daemon's sudden end a line may come twice.
type Syslog struct {
	path, tag string
	conn      net.Conn // nil: nobody listened
	line      []byte   // what there is of the last line
	lost      int      // lines, not yet told of
}

// NewSyslog is a Sink to the socket at path, with a tag before each line. The
// socket need not be there.
func NewSyslog(path, tag string) *Syslog { return &Syslog{path: path, tag: tag} }

// Size is 0: there is no file.
func (s *Syslog) Size() int64 { return 0 }

// Render returns raw.
func (s *Syslog) Render(raw []byte, _ time.Time) []byte { return raw }

// Write sends the lines that are complete.
func (s *Syslog) Write(out []byte) error {
	var failed error
	for line := range bytes.Lines(out) {
		s.line = append(s.line, line...)
		ended := line[len(line)-1] == '\n'
		for len(s.line) > syslogLine {
			failed = s.send(s.line[:syslogLine], failed)
			s.line = append(s.line[:0], s.line[syslogLine:]...)
		}
		if ended {
			failed = s.send(s.line[:len(s.line)-1], failed)
			s.line = s.line[:0]
		}
	}
	return failed
}

// send sends a line, unless that failed just before.
func (s *Syslog) send(line []byte, failed error) error {
	if failed == nil && s.lost > 0 {
		if failed = s.post(fmt.Appendf(nil, "%d lines dropped: nobody took them", s.lost)); failed == nil {
			s.lost = 0
		}
	}
	if failed == nil {
		failed = s.post(line)
	}
	if failed != nil {
		s.lost++
	}
	return failed
}

func (s *Syslog) post(line []byte) (err error) {
	text := fmt.Appendf(nil, "<%d>%s %s: %s", daemonInfo, time.Now().Format(time.Stamp), s.tag, line)
	for range 2 { // a logger that was restarted has another socket
		if s.conn == nil {
			if s.conn, err = net.Dial("unixgram", s.path); err != nil {
				s.conn = nil
				break
			}
		}
		s.conn.SetWriteDeadline(time.Now().Add(syslogPatience))
		if _, err = s.conn.Write(text); err == nil {
			return nil
		}
		s.conn.Close()
		s.conn = nil
	}
	return fmt.Errorf("syslog: lines are dropped: %w", err)
}

// Rewind does nothing.
func (s *Syslog) Rewind(int64) error { return nil }

// Turn does nothing.
func (s *Syslog) Turn(time.Time) error { return nil }

// Close sends what there is of the last line.
func (s *Syslog) Close() (err error) {
	if len(s.line) > 0 {
		err = s.send(s.line, nil)
		s.line = nil
	}
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
	return err
}
