package bench

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// cable is a veth pair whose far end is in another network namespace.
type cable struct {
	name string
	near netlink.Link
	far  *netlink.Handle
	end  netlink.Link
}

func newCable(name string) (*cable, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := netns.New() // and goes there
	if err != nil {
		return nil, err
	}
	defer there.Close()
	c := &cable{name: name}
	if c.far, err = netlink.NewHandle(); err != nil {
		return nil, err
	}
	if err := netns.Set(here); err != nil {
		return nil, err
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "far", PeerNamespace: netlink.NsFd(there)}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, err
	}
	if c.near, err = netlink.LinkByName(name); err != nil {
		return nil, err
	}
	if c.end, err = c.far.LinkByName("far"); err != nil {
		return nil, err
	}
	return c, netlink.LinkSetUp(c.near)
}

// plug returns the time just before.
func (c *cable) plug() (int64, error) {
	t := clock()
	return t, c.far.LinkSetUp(c.end)
}

// pull returns when the kernel has told everybody, which it does not at once.
func (c *cable) pull() error {
	if err := c.far.LinkSetDown(c.end); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		l, err := netlink.LinkByIndex(c.near.Attrs().Index)
		if err != nil {
			return err
		}
		if l.Attrs().OperState != netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s still has its carrier", c.name)
		}
	}
}

const quiet = 30 * time.Millisecond // everything that follows an event has happened

// carrier measures from the plug to the service's first instruction. Both
// sides listen to the same cable in turn; hotsvc is stopped (SIGSTOP) while the
// other has its turn.
func carrier() ([]row, error) {
	c, err := newCable("cable0")
	if err != nil {
		return nil, err
	}
	e, err := newEar("carrier")
	if err != nil {
		return nil, err
	}
	stamp := filepath.Join(*tools, "stamp")
	d, err := startDaemon("carrier.d", map[string]string{
		"rules/cable.toml": `
[[rule]]
name = "cable"
object = "link"
match = { name = "cable0", running = true }
require = ["stamp"]
damping = false
`,
		"services/stamp.toml": fmt.Sprintf("exec_start = [%q, %q]\n", stamp, e.path),
	})
	if err != nil {
		return nil, err
	}
	defer d.end()
	time.Sleep(3 * time.Second) // what follows the start is over
	var ours, theirs sample
	for range *rounds + 2 {
		a, err := plugOnce(c, e)
		if err != nil {
			return nil, fmt.Errorf("hotsvc: %w: %s", err, d.lastWords())
		}
		d.cmd.Process.Signal(syscall.SIGSTOP)
		b, err := listenOnce(c, e, stamp)
		d.cmd.Process.Signal(syscall.SIGCONT)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		time.Sleep(quiet) // it catches up
		ours, theirs = append(ours, a), append(theirs, b)
	}
	// The first rounds load programs and make directories.
	return []row{
		beside("carrier to first instruction", ours[2:], theirs[2:], "ms", 1.5),
		{what: "  the first after the start", ours: digits(ours[0]) + " ms", reference: digits(theirs[0]) + " ms"},
	}, nil
}

// plugOnce leaves all as it was before.
func plugOnce(c *cable, e *ear) (float64, error) {
	time.Sleep(quiet)
	began, err := c.plug()
	if err != nil {
		return 0, err
	}
	first, pids, err := e.hear(1)
	if err != nil {
		return 0, err
	}
	time.Sleep(quiet)
	if err := c.pull(); err != nil {
		return 0, err
	}
	return float64(first-began) / 1e6, gone(pids)
}

func listenOnce(c *cable, e *ear, stamp string) (float64, error) {
	h, err := startHelper("listen", c.name, stamp, e.path)
	if err != nil {
		return 0, err
	}
	defer h.end()
	time.Sleep(quiet)
	began, err := c.plug()
	if err != nil {
		return 0, err
	}
	first, _, err := e.hear(1)
	if err != nil {
		return 0, err
	}
	time.Sleep(quiet)
	return float64(first-began) / 1e6, c.pull()
}
