package uevent

import (
	"context"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
	"hotsvc/internal/object"
)

// engine keeps what a source told, as the daemon's core does.
type engine struct {
	mu      sync.Mutex
	store   object.Store
	status  object.SourceStatus
	reports []object.Report
	hold    chan struct{} // while not nil and open, the inbox is full
}

func (e *engine) sink(r object.Report) {
	e.mu.Lock()
	hold := e.hold
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = r.Status
	e.reports = append(e.reports, r)
	if r.Batch != nil {
		e.store.Apply(*r.Batch)
	}
}

func (e *engine) get(devpath string) *object.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.Get(object.Key{Kind: object.Device, ID: devpath})
}

func (e *engine) now() object.SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// start runs a source until the test ends.
func start(t *testing.T, c Config) (*Watcher, *engine) {
	t.Helper()
	w, e := New(c), &engine{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, e.sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	livetest.Until(t, "synced", func() bool { return e.now().State == object.Synced })
	return w, e
}

// inject has the kernel send a uevent in this network namespace (kernel:
// uevent_net_rcv_skb in lib/kobject_uevent.c).
func inject(t *testing.T, text string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n := 16 + len(text)
	msg := []byte{byte(n), byte(n >> 8), 0, 0, 16, 0, unix.NLM_F_REQUEST | unix.NLM_F_ACK, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Sendto(fd, append(msg, text...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 4096)
	if n, err := unix.Read(fd, ack); err != nil || n < 20 || ack[16]|ack[17]|ack[18]|ack[19] != 0 {
		t.Fatalf("inject: %v, answer %v", err, ack[:max(n, 0)])
	}
}

func TestLiveInjectedDevice(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		const at = "/devices/pci0000:00/made-up/1-1"
		inject(t, "add@"+at+"\x00ACTION=add\x00DEVPATH="+at+"\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00PRODUCT=525/a4a2/0\x00DEVNAME=bus/usb/001/002\x00")
		livetest.Until(t, "device", func() bool { return e.get(at) != nil })
		o := e.get(at)
		t.Logf("%+v", o)
		inject(t, "remove@"+at+"\x00ACTION=remove\x00DEVPATH="+at+"\x00SUBSYSTEM=usb\x00")
		livetest.Until(t, "no device", func() bool { return e.get(at) == nil })
		t.Logf("%+v", e.now())
	})
}
