package linkwatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/nlsource"
	"hotsvc/internal/object"
)

// wifi reads nl80211 (include/uapi/linux/nl80211.h), as a source of its own
// that tells no objects: what it finds goes over the desk into the links.
// Overflow is handled as in every source, because it is the same follower.
//
// The multicast messages only say when to ask again. They are read by nlsource,
// which believes the kernel alone: genetlink's Receive does not show the
// sender. What they announce is asked by genetlink, on a socket of its own.
type wifi struct {
	follow nlsource.Follower
	desk   *desk
	dial   func() (*genetlink.Conn, error)
	join   func(group uint32) error
	relist func()

	conn   *genetlink.Conn
	family uint16 // 0: the kernel has no nl80211, or not yet
	stale  bool   // it came or went: a list is under way

	later []question // they failed
	retry time.Time  // when to try them again
}

const (
	// notify is the group of the generic netlink controller, the one whose
	// number is fixed (genl_validate_assign_mc_groups, net/netlink/genetlink.c).
	notify = 1 << (unix.GENL_ID_CTRL - 1)

	// wifiRoom is for some hundred messages, most of which are small. A lost one
	// costs a list of a few radios.
	wifiRoom = 256 << 10

	wifiPause   = time.Second     // before a question that failed is put again
	wifiTimeout = 5 * time.Second // of the reply, which the kernel sends at once
)

func newWifi(d *desk) *wifi {
	w := &wifi{desk: d, dial: func() (*genetlink.Conn, error) { return genetlink.Dial(nil) }}
	w.join, w.relist = w.follow.Join, w.follow.Ask
	d.wakeWifi = w.follow.Wake
	w.follow = nlsource.Follower{Name: "wifi", Family: unix.NETLINK_GENERIC, Groups: notify, Room: wifiRoom, Table: w}
	return w
}

func (w *wifi) run(ctx context.Context, sink object.Sink) error {
	defer w.hangUp()
	return w.follow.Run(ctx, w.reports(sink))
}

// reports makes of the follower's reports those of a source without objects: of
// its state and its troubles, and not of each message. Until it knows whether
// there is any Wi-Fi it says nothing: nothing but its own words waits for it.
func (w *wifi) reports(sink object.Sink) object.Sink {
	var told object.SourceStatus
	return func(r object.Report) {
		s := r.Status
		switch {
		case s.State == object.Starting && s.Error == "" && told.Name == "":
			return
		case s.State == object.Starting:
			s.State = object.Failed // nothing may wait for it
		case s.State == object.Synced && w.family == 0:
			s.State = object.Absent
		case s.State == object.Absent: // not even generic netlink
			w.desk.close()
		}
		old := told
		old.Events = s.Events
		if s != old {
			told = s
			sink(object.Report{Status: s})
		}
	}
}

// List looks whether the kernel has nl80211, and has all radios read.
func (w *wifi) List(bool) error {
	w.stale = false
	family, err := w.lookUp()
	if err != nil {
		w.hangUp()
		return err
	}
	w.family = family.ID
	for _, g := range family.Groups {
		if g.Name != unix.NL80211_MULTICAST_GROUP_MLME && g.Name != unix.NL80211_MULTICAST_GROUP_CONFIG {
			continue
		}
		if err := w.join(g.ID); err != nil {
			return fmt.Errorf("join group %s: %w", g.Name, err)
		}
	}
	w.desk.reopenAll("list")
	return nil
}

// lookUp finds nl80211 among all families. To ask for it by name would make the
// kernel load cfg80211 (ctrl_getfamily, net/netlink/genetlink.c), on machines,
// too, that have no radio.
func (w *wifi) lookUp() (found genetlink.Family, err error) {
	if err := w.call(); err != nil {
		return found, err
	}
	all, err := w.conn.ListFamilies()
	if err != nil {
		return found, fmt.Errorf("list families: %w", err)
	}
	for _, f := range all {
		if f.Name == unix.NL80211_GENL_NAME {
			found = f
		}
	}
	return found, nil
}

// Apply takes a datagram in.
func (w *wifi) Apply(datagram []byte) bool {
	all, err := messages(datagram)
	ok := err == nil
	for _, m := range all {
		command, attrs, whole := decodeGeneric(m.body)
		switch {
		case !whole:
			ok = false
		case m.kind == unix.GENL_ID_CTRL:
			name, whole := decodeFamily(attrs)
			ok = ok && whole
			if name == unix.NL80211_GENL_NAME && (command == unix.CTRL_CMD_NEWFAMILY || command == unix.CTRL_CMD_DELFAMILY) {
				w.stale = true
				w.relist()
			}
		case m.kind == w.family:
			name := watched[command]
			if name == "" {
				continue
			}
			index, _, whole := decodeRadio(attrs)
			ok = ok && whole
			if whole && index > 0 {
				w.desk.reopen(index, "nl80211 "+name)
			}
		}
	}
	return ok
}

// Take answers what is asked. It is called when the socket is empty: a radio
// that is asked about because its module was loaded just now is not told to be
// unknown to nl80211 before the news of nl80211 itself was read.
func (w *wifi) Take(full bool) []object.Batch {
	if !w.stale {
		for _, q := range w.desk.pickUp() {
			w.answer(q)
		}
	}
	if full {
		return []object.Batch{{Full: true}}
	}
	return nil
}

func (w *wifi) answer(q question) {
	if w.family == 0 {
		w.desk.say(q, radio{})
		return
	}
	switch r, err := w.ask(q.index); {
	case err == nil:
		w.desk.say(q, r)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
		// It went, its driver has only the old wireless extensions, or we may
		// not know: nothing more will come of it.
		w.desk.say(q, radio{})
	default:
		w.hangUp()
		w.later = append(w.later, q)
		w.retry = time.Now().Add(wifiPause)
	}
}

// ask is NL80211_CMD_GET_INTERFACE. The kernel answers when nothing else is
// under way with that radio (wiphy_lock): never with half of an association.
//
// Many kernels do not tell a client's network there where the program associates
// by itself, as wpa_supplicant does with mac80211: not 6.1.192, nor 6.12.117. Their
// list of access points has it.
func (w *wifi) ask(index int) (r radio, err error) {
	replies, err := w.request(unix.NL80211_CMD_GET_INTERFACE, index, netlink.Request)
	if err != nil {
		return r, fmt.Errorf("get interface %d: %w", index, err)
	}
	for _, m := range replies {
		got, r, ok := decodeRadio(m.Data)
		if !ok || got != index || m.Header.Command != unix.NL80211_CMD_NEW_INTERFACE {
			continue
		}
		if r.client() && r.ssid == "" {
			r.ssid = w.network(index)
		}
		return r, nil
	}
	return r, errFormat
}

// network is NL80211_CMD_GET_SCAN, which asks the driver nothing: the SSID of
// the access point with which a client is associated.
func (w *wifi) network(index int) string {
	replies, err := w.request(unix.NL80211_CMD_GET_SCAN, index, netlink.Request|netlink.Dump)
	if err != nil {
		w.hangUp()
		return ""
	}
	for _, m := range replies {
		if ssid, associated, ok := decodeBSS(m.Data); ok && associated && m.Header.Command == unix.NL80211_CMD_NEW_SCAN_RESULTS {
			return ssid
		}
	}
	return ""
}

func (w *wifi) request(command uint8, index int, flags netlink.HeaderFlags) ([]genetlink.Message, error) {
	if err := w.call(); err != nil {
		return nil, err
	}
	data := make([]byte, 8)
	binary.NativeEndian.PutUint16(data, 8)
	binary.NativeEndian.PutUint16(data[2:], unix.NL80211_ATTR_IFINDEX)
	binary.NativeEndian.PutUint32(data[4:], uint32(index))
	_ = w.conn.SetReadDeadline(time.Now().Add(wifiTimeout))
	return w.conn.Execute(genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}, Data: data}, w.family, flags)
}

// Due is when there is something to answer.
func (w *wifi) Due() time.Time {
	if w.desk.hasOpen() && !w.stale {
		return time.Unix(1, 0)
	}
	if len(w.later) > 0 {
		return w.retry
	}
	return time.Time{}
}

// Tick puts the questions that failed back on the desk.
func (w *wifi) Tick() {
	if len(w.later) > 0 && !time.Now().Before(w.retry) {
		for _, q := range w.later {
			w.desk.reopen(q.index, q.cause)
		}
		w.later = nil
	}
}

func (w *wifi) call() (err error) {
	if w.conn == nil {
		w.conn, err = w.dial()
	}
	return err
}

func (w *wifi) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}
