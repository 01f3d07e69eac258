package svlog

import (
	"fmt"
	"net"
	"net/netip"
)

// sender sends lines through UDP.
type sender struct {
	conn *net.UDPConn
	to   netip.AddrPort
	err  error // why there is no conn
}

func newSender(to netip.AddrPort) *sender {
	conn, err := net.ListenUDP("udp4", nil)
	return &sender{conn, to, err}
}

func (s *sender) send(line []byte) error {
	err := s.err
	if err == nil {
		_, err = s.conn.WriteToUDPAddrPort(line, s.to)
	}
	if err != nil {
		return fmt.Errorf("send through udp to %s: %w", s.to, err)
	}
	return nil
}

func (s *sender) close() {
	if s != nil && s.conn != nil {
		s.conn.Close()
	}
}
