package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// stat is what proc(5) /proc/PID/stat says of a process.
type stat struct {
	pid, parent, session int
	state                byte
	started              uint64 // field 22
	exit                 unix.WaitStatus
}

// zombie: it has ended, but keeps pid and start time until somebody reaps it.
func (s stat) zombie() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	// By hand: os.ReadFile would ask the poller first, and a scan reads thousands.
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return stat{}, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return stat{}, err // ESRCH: it went meanwhile
	}
	return parseStat(pid, buf[:n])
}

func parseStat(pid int, text []byte) (stat, error) {
	// The name stands in parentheses and may hold any byte, parentheses included.
	f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(f) < 50 || len(f[0]) != 1 {
		return stat{}, fmt.Errorf("/proc/%d/stat: unknown format", pid)
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseInt(string(f[field-3]), 10, 64)
		return uint64(n)
	}
	return stat{
		pid:     pid,
		state:   f[0][0],
		parent:  int(number(4)),
		session: int(number(6)),
		started: number(22),
		exit:    unix.WaitStatus(number(52)),
	}, nil
}

// allPids lists the processes that there are.
func allPids() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	pids := make([]int, 0, len(names))
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// signalChecked sends a signal to a process if, once a pidfd pins it, belongs
// still says that it is meant. A pid alone may be somebody else's by now.
func signalChecked(pid int, sig unix.Signal, belongs func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd)
	if !belongs() {
		return nil
	}
	return ignoreGone(unix.PidfdSendSignal(fd, sig, nil, 0))
}

// lacking tells whether an error says that the daemon itself has no descriptor
// or memory left, and so nothing of what it asked about.
func lacking(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

func ignoreGone(err error) error {
	if err == unix.ESRCH {
		return nil
	}
	return err
}
