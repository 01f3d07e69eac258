package livetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside tells the second run of a test that it is in the namespaces already.
// Its value is the name of the test that asked.
const inside = "HOTSVC_LIVETEST"

// Namespace runs story in new user, network and mount namespaces, where it may
// make links, inject uevents and mount what it likes. The test binary is run a
// second time for it, with only the calling test selected: what the test does
// before Namespace happens in both runs. /sys shows the new network namespace.
// Where the kernel refuses such namespaces the test is skipped, and says why.
func Namespace(t *testing.T, story func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		settle(t)
		story(t)
		return
	}
	again(t, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET|syscall.CLONE_NEWNS)
}

// Root does the same for what must be able to become another user: without a user
// namespace, so the story is as mighty as root is here. It must take care of what no
// namespace has for itself, like the clock. Skipped for anybody else.
func Root(t *testing.T, story func(t *testing.T)) {
	t.Helper()
	switch {
	case os.Getenv(inside) == t.Name():
		settle(t)
		story(t)
	case os.Geteuid() != 0:
		t.Skip("livetest: only root can become another user")
	default:
		again(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWNS)
	}
}

// settle gives the new mount namespace its own /sys. A sysfs mount shows the
// network namespace of who mounted it, not of who looks.
func settle(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("livetest: private mounts: %v", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		t.Skipf("livetest: mount sysfs: %v", err)
	}
}

func again(t *testing.T, flags uintptr) {
	t.Helper()
	limit := time.Minute
	if d, ok := t.Deadline(); ok {
		limit = time.Until(d) * 9 / 10
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.count=1",
		"-test.run="+pattern(t.Name()), "-test.timeout="+limit.String())
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: flags,
		Pdeathsig:  syscall.SIGKILL, // sent when the thread that clones ends: see below
	}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // the thread must live as long as its child
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) {
			t.Skipf("livetest: no new namespaces here: %v", err)
		}
		t.Fatalf("livetest: start: %v", err)
	}
	err := cmd.Wait()
	text := strings.TrimSpace(out.String())
	switch {
	case err != nil:
		t.Fatalf("livetest: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP: "+t.Name()):
		t.Skipf("livetest:\n%s", text)
	case !strings.Contains(text, "--- PASS: "+t.Name()):
		t.Fatalf("livetest: the second run did not reach the story\n%s", text)
	}
	t.Logf("in new namespaces:\n%s", text)
}

// pattern selects exactly one test, or one subtest.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// Until waits for a condition, looking again every few milliseconds, and fails
// the test when it does not come true in time.
func Until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
