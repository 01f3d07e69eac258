package uevent

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilebones/go-udev/crawler"
	"github.com/vishvananda/netlink"
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
	waiting int           // reports that found it full
}

func (e *engine) sink(r object.Report) {
	e.mu.Lock()
	hold := e.hold
	if hold != nil {
		e.waiting++
	}
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
	w := New(c)
	return w, run(t, w)
}

func run(t *testing.T, w *Watcher) *engine {
	t.Helper()
	e := &engine{}
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
	return e
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
		const at = "/devices/pci0000:00/soc@0/1-1"
		vars := "DEVPATH=" + at + "\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00PRODUCT=525/a4a2/0\x00DEVNAME=bus/usb/001/002\x00"
		inject(t, "add@"+at+"\x00ACTION=add\x00"+vars)
		livetest.Until(t, "the device", func() bool { return e.get(at) != nil })
		o := e.get(at)
		want := object.Words{
			"KERNEL": {"1-1"}, "DEVPATH": {at}, "SUBSYSTEM": {"usb"}, "DEVTYPE": {"usb_device"}, "PRODUCT": {"525/a4a2/0"},
			"DEVNAME": {"/dev/bus/usb/001/002", "bus/usb/001/002"}, "ID_BUS": {"usb"}, "ID_VENDOR_ID": {"0525"}, "ID_MODEL_ID": {"a4a2"},
			"PARENT": o.Words["PARENT"], // this machine may have no PCI
		}
		if !o.Words.Equal(want) || o.Cause != "uevent add" {
			t.Errorf("%+v", o)
		}
		inject(t, "remove@"+at+"\x00ACTION=remove\x00"+vars)
		livetest.Until(t, "no device", func() bool { return e.get(at) == nil })
		inject(t, "add@"+at+"\x00ACTION=add\x00"+vars)
		livetest.Until(t, "the device again", func() bool { return e.get(at) != nil })
		if e.get(at).Life == o.Life {
			t.Error("a replug is the same life")
		}
	})
}

func TestLiveRename(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		addVeth(t, "va", "vb")
		_, e := start(t, Config{})
		before := e.get(virtual + "va")
		if before == nil || before.Words.Get("INTERFACE") != "va" || before.Words.Get("SUBSYSTEM") != "net" {
			t.Fatalf("va is %+v", before)
		}
		l, err := netlink.LinkByName("va")
		if err == nil {
			err = netlink.LinkSetName(l, "wan0")
		}
		if err != nil {
			t.Fatal(err)
		}
		livetest.Until(t, "the new name", func() bool {
			o := e.get(virtual + "wan0")
			return o != nil && o.Words.Get("INTERFACE") == "wan0"
		})
		if o := e.get(virtual + "wan0"); o.Life.Incarnation != before.Life.Incarnation || o.Words.Get("KERNEL") != "wan0" {
			t.Errorf("after the rename: %+v", o)
		}
		reaches(t, e, truth(t))
	})
}

func TestLiveHostileNames(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		for i, name := range []string{"-f", "$(id)", "{name}", "a@b=c", "\"';|&"} {
			addVeth(t, name, fmt.Sprintf("peer%d", i))
			livetest.Until(t, name, func() bool { return e.get(virtual+name) != nil })
			if got := e.get(virtual + name).Words.Get("INTERFACE"); got != name {
				t.Errorf("INTERFACE = %q, want %q", got, name)
			}
		}
		reaches(t, e, truth(t))
	})
}

// What a program sends is not the kernel's, whoever it runs as: it has a port.
func TestLiveForgedSender(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		_, e := start(t, Config{})
		text := "add@/devices/forged\x00ACTION=add\x00DEVPATH=/devices/forged\x00SUBSYSTEM=tty\x00"
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		for _, to := range []*unix.SockaddrNetlink{
			{Family: unix.AF_NETLINK, Groups: 1},
			{Family: unix.AF_NETLINK, Pid: listener(t, unix.NETLINK_KOBJECT_UEVENT)},
		} {
			if err := unix.Sendto(fd, []byte(text), 0, to); err != nil {
				t.Fatalf("send to %+v: %v", to, err)
			}
		}
		livetest.Until(t, "two refused", func() bool { return e.now().Refused == 2 })
		inject(t, "add@/devices/true\x00ACTION=add\x00DEVPATH=/devices/true\x00")
		livetest.Until(t, "a true one", func() bool { return e.get("/devices/true") != nil })
		if e.get("/devices/forged") != nil {
			t.Error("a forged device is believed")
		}
	})
}

// listener finds the port of this namespace's one subscriber of a family.
func listener(t *testing.T, family int) uint32 {
	t.Helper()
	text, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var sk string
		var eth int
		var port, groups uint32
		if _, err := fmt.Sscanf(line, "%s %d %d %x", &sk, &eth, &port, &groups); err == nil && eth == family && groups != 0 && port != 0 {
			return port
		}
	}
	t.Fatalf("no listener in\n%s", text)
	return 0
}

func TestLiveNewAttributeIsReadAtOnce(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		addVeth(t, "va", "vb")
		w, e := start(t, Config{})
		inject(t, "add@/devices/made-up\x00ACTION=add\x00DEVPATH=/devices/made-up\x00")
		livetest.Until(t, "the injected", func() bool { return e.get("/devices/made-up") != nil })
		w.SetAttrs([]string{"mtu", "statistics/rx_bytes"})
		livetest.Until(t, "ATTR{mtu}", func() bool { return e.get(virtual+"va").Words.Get("ATTR{mtu}") == "1500" })
		if e.get(virtual + "va").Words["ATTR{statistics/rx_bytes}"] == nil || e.get("/devices/made-up") == nil {
			t.Error("an attribute in a directory, or an injected device, is missing")
		}
		if s := e.now(); s.Resyncs != 0 || s.State != object.Synced {
			t.Errorf("status %+v", s)
		}
	})
}

// In another network namespace than that of /sys there are links of the same
// names: they are not the same links.
func TestLiveSysfsOfAnotherNamespace(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		addVeth(t, "va", "vb")
		outside := truth(t)
		e := &engine{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		made := make(chan struct{})
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			defer close(done)
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				done <- err
				return
			}
			addVeth(t, "va", "vb")
			close(made)
			w := New(Config{})
			w.follow.Table = &troubled{table: w.table, after: func(int) { addVeth(t, "vc", "vd") }}
			done <- w.Run(ctx, e.sink)
		}()
		defer func() { cancel(); <-done }()
		livetest.Until(t, "vc", func() bool { return e.get(virtual+"vc") != nil })
		<-made
		for p := range outside {
			if e.get(p) != nil {
				t.Errorf("%s is of another namespace", p)
			}
		}
		if o := e.get(virtual + "vc"); o.Life.Incarnation&made64 == 0 || o.Words.Get("IFINDEX") == "" {
			t.Errorf("vc is %+v", o)
		}
	})
}

const made64 = uint64(made)

// A real block device comes and goes. It is the machine's: only for root.
func TestLiveZram(t *testing.T) {
	const control = "/sys/class/zram-control/"
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil || os.Getuid() != 0 || strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295" {
		t.Skip("not root of the initial user namespace")
	}
	if _, err := os.Stat(control + "hot_add"); err != nil {
		t.Skipf("no zram: %v", err)
	}
	_, e := start(t, Config{})
	id, err := os.ReadFile(control + "hot_add") // reading makes one
	if err != nil {
		t.Skipf("no zram device to be had: %v", err)
	}
	n := strings.TrimSpace(string(id))
	devpath := "/devices/virtual/block/zram" + n
	defer os.WriteFile(control+"hot_remove", []byte(n), 0)
	livetest.Until(t, "zram"+n, func() bool { return e.get(devpath) != nil })
	o := e.get(devpath)
	if o.Words.Get("DEVNAME") != "/dev/zram"+n || o.Words.Get("DISKSEQ") != fmt.Sprint(o.Life.Incarnation) {
		t.Errorf("%+v", o)
	}
	if err := os.WriteFile(control+"hot_remove", []byte(n), 0); err != nil {
		t.Fatal(err)
	}
	livetest.Until(t, "no zram"+n, func() bool { return e.get(devpath) == nil })
}

// The list finds what go-udev's crawler finds; on this machine, at rest.
func TestListAgreesWithTheCrawler(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		for range 5 {
			queue, errs := make(chan crawler.Device, 4096), make(chan error, 4)
			began := time.Now()
			crawler.ExistingDevices(queue, errs, nil)
			crawled := make(map[string]bool)
			for d := range queue {
				crawled[strings.TrimPrefix(d.KObj, "/sys")] = true
			}
			crawl := time.Since(began)
			began = time.Now()
			table := newTable("/sys")
			if err := table.List(true); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d devices: crawler %v, list %v", len(crawled), crawl, time.Since(began))
			missing := ""
			for p := range crawled {
				if table.devices[p] == nil {
					missing += " " + p
				}
			}
			if missing == "" && len(errs) == 0 && len(crawled) == len(table.devices) {
				return
			}
			t.Logf("missing:%s; %d listed", missing, len(table.devices)) // others may plug now: again
		}
		t.Error("the list and the crawler never agreed")
	})
}
