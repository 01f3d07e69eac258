package vm_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// machine is a virtual machine: its monitor and its shell.
type machine struct {
	dir    string
	qemu   *exec.Cmd
	serial net.Conn
	lines  *bufio.Reader
	qmp    net.Conn
	answer chan qmpMessage // to the command that was given
	gone   chan string     // ids of devices whose removal is done
}

type qmpMessage struct {
	Return json.RawMessage
	Error  *struct{ Desc string }
	Event  string
	Data   struct{ Device string }
}

// accel is kvm only where it is the processor's own. There are kernels whose
// /dev/kvm opens and then runs no ordinary kernel.
func accel() string {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "tcg"
	}
	f.Close()
	for _, module := range []string{"kvm_intel", "kvm_amd"} {
		if _, err := os.Stat("/sys/module/" + module); err == nil {
			return "kvm"
		}
	}
	return "tcg"
}

// boot starts a machine with these devices besides the usual ones, and returns
// when its shell answers.
func boot(dir string, more ...string) (*machine, error) {
	root := os.Getenv("VM_ROOT")
	args := []string{"-machine", "pc", "-accel", accel(), "-cpu", "max", "-smp", "1", "-m", "512",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-L", root + "/usr/share/qemu", "-L", root + "/usr/share/seabios", "-L", root + "/usr/lib/ipxe/qemu",
		"-kernel", os.Getenv("VM_KERNEL"), "-initrd", os.Getenv("VM_INITRD"), "-append", "console=ttyS0 quiet panic=-1",
		"-serial", "file:" + filepath.Join(dir, "console"),
		"-chardev", "socket,id=shell,path=" + filepath.Join(dir, "shell") + ",server=on,wait=off", "-serial", "chardev:shell",
		"-qmp", "unix:" + filepath.Join(dir, "qmp") + ",server=on,wait=off",
		"-device", "qemu-xhci,id=xhci"}
	m := &machine{dir: dir, qemu: exec.Command(root+"/usr/bin/qemu-system-x86_64", append(args, more...)...),
		answer: make(chan qmpMessage), gone: make(chan string, 100)}
	said, err := os.Create(filepath.Join(dir, "qemu"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	m.qemu.Stdout, m.qemu.Stderr = said, said
	if err := m.qemu.Start(); err != nil {
		return nil, err
	}
	if err := m.connect(); err != nil {
		m.halt()
		text, _ := os.ReadFile(filepath.Join(dir, "qemu"))
		return nil, fmt.Errorf("%w\nqemu said: %s\nthe console's end: %s", err, text, m.console())
	}
	return m, nil
}

func dial(path string) (conn net.Conn, err error) {
	for range 100 {
		if conn, err = net.Dial("unix", path); err == nil {
			return conn, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

func (m *machine) connect() (err error) {
	if m.serial, err = dial(filepath.Join(m.dir, "shell")); err != nil {
		return err
	}
	if m.qmp, err = dial(filepath.Join(m.dir, "qmp")); err != nil {
		return err
	}
	go m.listen()
	if _, err := m.control("qmp_capabilities", nil); err != nil {
		return err
	}
	m.lines = bufio.NewReader(m.serial)
	m.serial.SetReadDeadline(time.Now().Add(90 * time.Second))
	for {
		line, err := m.lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the shell does not answer: %w", err)
		}
		if strings.TrimSpace(line) == "ready" {
			return nil
		}
	}
}

// listen sorts what the monitor says: answers here, removals there.
func (m *machine) listen() {
	defer close(m.answer)
	for d := json.NewDecoder(m.qmp); ; {
		var msg qmpMessage
		if err := d.Decode(&msg); err != nil {
			return
		}
		switch {
		case msg.Event == "DEVICE_DELETED" && msg.Data.Device != "":
			m.gone <- msg.Data.Device
		case msg.Return != nil, msg.Error != nil:
			m.answer <- msg
		}
	}
}

// control gives the monitor a command.
func (m *machine) control(command string, args map[string]any) (json.RawMessage, error) {
	b, err := json.Marshal(map[string]any{"execute": command, "arguments": args})
	if args == nil {
		b, err = json.Marshal(map[string]any{"execute": command})
	}
	if err != nil {
		return nil, err
	}
	if _, err := m.qmp.Write(b); err != nil {
		return nil, err
	}
	select {
	case msg, ok := <-m.answer:
		switch {
		case !ok:
			return nil, errors.New("the machine is gone")
		case msg.Error != nil:
			return nil, fmt.Errorf("%s: %s", command, msg.Error.Desc)
		}
		return msg.Return, nil
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("%s: no answer", command)
	}
}

// unplug removes a device and waits until its id may be used again.
func (m *machine) unplug(id string) error {
	if _, err := m.control("device_del", map[string]any{"id": id}); err != nil {
		return err
	}
	for end := time.After(15 * time.Second); ; {
		select {
		case g := <-m.gone:
			if g == id {
				return nil
			}
		case <-end:
			return fmt.Errorf("%s is not removed after 15 s", id)
		}
	}
}

// shell runs a script in the machine and returns what it said.
func (m *machine) shell(script string, limit time.Duration) (string, error) {
	if _, err := m.serial.Write([]byte(base64.StdEncoding.EncodeToString([]byte(script)) + "\n")); err != nil {
		return "", err
	}
	m.serial.SetReadDeadline(time.Now().Add(limit))
	line, err := m.lines.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("no answer after %v: %w", limit, err)
	}
	code, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	said, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", line, err)
	}
	if code != "0" {
		status, _ := strconv.Atoi(code)
		return string(said), exitError(status)
	}
	return string(said), nil
}

type exitError int

func (e exitError) Error() string { return "exit " + strconv.Itoa(int(e)) }

// halt ends the machine.
func (m *machine) halt() {
	m.qemu.Process.Kill()
	m.qemu.Wait()
	for _, c := range []io.Closer{m.serial, m.qmp} {
		if c != nil {
			c.Close()
		}
	}
}

// console is the end of what the kernel printed.
func (m *machine) console() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	return string(b[max(0, len(b)-2000):])
}
