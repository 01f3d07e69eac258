package linkwatch

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

func (e *engine) wifiNow() []object.SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.wifi)
}

// Without Wi-Fi in the kernel the words are absent, and it is said once, as a
// state and not as an error. A program that says that nl80211 has come is not
// believed.
func TestLiveWithoutWifi(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		conn, err := genetlink.Dial(nil)
		if err != nil {
			t.Skipf("no generic netlink: %v", err)
		}
		defer conn.Close()
		all, err := conn.ListFamilies()
		if err != nil {
			t.Skipf("no list of families: %v", err)
		}
		if slices.ContainsFunc(all, func(f genetlink.Family) bool { return f.Name == "nl80211" }) {
			t.Skip("this kernel has nl80211")
		}
		_, e := start(t, Config{})
		add(t, veth("va", "vb"))
		up(t, "va")
		up(t, "vb")
		e.has(t, "va", "running", "true")
		livetest.Until(t, "wifi is said to be absent", func() bool { return len(e.wifiNow()) > 0 })
		for _, word := range []string{"iftype", "ssid", "associated"} {
			if v, there := e.link("va").Words[word]; there {
				t.Errorf("%s = %q", word, v)
			}
		}

		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Sendto(fd, newfamily(unix.CTRL_CMD_NEWFAMILY), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: notify}); err != nil {
			t.Fatal(err)
		}
		livetest.Until(t, "one refused", func() bool { return len(e.wifiNow()) == 2 })
		time.Sleep(50 * time.Millisecond)
		want := []object.SourceStatus{{Name: "wifi", State: object.Absent}, {Name: "wifi", State: object.Absent, Refused: 1}}
		if got := e.wifiNow(); !slices.Equal(got, want) {
			t.Errorf("told %+v", got)
		}
	})
}

// A lookup of the family by name makes the kernel load modules; ours must not.
// Where cfg80211 is a module that is not loaded, it stays so.
func TestLiveTheLookUpLoadsNothing(t *testing.T) {
	if _, err := os.Stat("/sys/module/cfg80211"); err == nil {
		t.Skip("cfg80211 is there already")
	}
	w := newWifi(newDesk())
	defer w.hangUp()
	if err := w.List(true); err != nil || w.family != 0 {
		t.Errorf("family %d, %v", w.family, err)
	}
	if _, err := os.Stat("/sys/module/cfg80211"); err == nil {
		t.Error("cfg80211 was loaded")
	}
}
