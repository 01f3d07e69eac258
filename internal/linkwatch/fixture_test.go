package linkwatch

import (
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// set changes one attribute of a link that the library has no call for.
func set(t *testing.T, name string, attr int, value uint8) {
	t.Helper()
	change(t, name, func(l netlink.Link) error {
		r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index = int32(l.Attrs().Index)
		r.AddData(msg)
		r.AddData(nl.NewRtAttr(attr, nl.Uint8Attr(value)))
		_, err := r.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

func setMode(t *testing.T, name string, mode uint8) {
	t.Helper()
	set(t, name, unix.IFLA_LINKMODE, mode)
}

func setOperstate(t *testing.T, name string, state uint8) {
	t.Helper()
	set(t, name, unix.IFLA_OPERSTATE, state)
}
