package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestShippedWebServerServesAFile(t *testing.T) {
	shippedAsRoot(t, applets, func(m *machine) {
		m.boot()
		if out := m.fails(1, "start", "httpd"); !strings.Contains(out, "cwd: /srv/http: no such file or directory: make it") {
			m.Errorf("nothing to serve:\n%s", out)
		}
		m.put("/srv/http/index.html", "hello from the hardware\n")
		m.put("/srv/http/secret", "")
		must(m.T, os.Chmod("/srv/http/secret", 0o600))
		m.do("start", "httpd")
		m.dial(80)
		m.ofNobody(m.Main("httpd"))
		for path, want := range map[string]string{"/": "hello from the hardware\n", "/secret": "404", "/none": "404"} {
			answer, err := http.Get("http://127.0.0.1" + path)
			must(m.T, err)
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if must(m.T, err); !strings.Contains(string(text), want) {
				m.Errorf("%s is\n%s", path, text)
			}
		}
		m.stays("httpd")
		if _, err := net.Dial("tcp", "127.0.0.1:80"); err == nil {
			m.Error("the port is still open")
		}
	})
}

func TestShippedFTPServerGivesAndDoesNotTake(t *testing.T) {
	t.Run("busybox", func(t *testing.T) {
		shippedAsRoot(t, applets, func(m *machine) {
			m.put("/srv/ftp/file", "12345")
			must(m.T, os.Chmod("/srv/ftp", 0o777))
			m.boot()
			m.do("start", "ftpd")
			c := m.dial(21)
			m.ofNobody(m.Main("ftpd"))
			m.talk(c, "", "220", "SIZE file", "213 5", "SIZE /file", "213 5", "SIZE /etc/passwd", "550", "PASV", "227", "STOR new", "500", "QUIT", "221")
			m.stays("ftpd")
		})
	})
	t.Run("vsftpd", func(t *testing.T) {
		shippedAsRoot(t, debian, func(m *machine) {
			m.put("/srv/ftp/file", "12345")
			m.put("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nftp:x:65534:65534::/srv/ftp:/bin/false\n")
			m.put("/etc/vsftpd.conf", "listen=YES\nbackground=YES\nanonymous_enable=YES\nsecure_chroot_dir=/run/vsftpd/empty\n")
			m.boot()
			m.do("start", "ftpd")
			m.talk(m.dial(21), "", "220", "USER anonymous", "331", "PASS a@b", "230", "SIZE /file", "213 5", "STOR new", "550", "QUIT", "221")
			m.stays("ftpd")
		})
	})
}

func TestShippedTFTPServerGivesAFile(t *testing.T) {
	for _, kind := range []string{applets, debian} {
		t.Run(kind[len("/mnt/"):], func(t *testing.T) {
			shippedAsRoot(t, kind, func(m *machine) {
				m.put("/srv/tftp/kernel", "an image")
				must(m.T, os.Chmod("/srv/tftp", 0o777))
				m.boot()
				m.do("start", "tftpd")
				if kind == applets {
					m.ofNobody(m.Main("tftpd"))
				}
				m.Until("it gives the file", func() bool { return m.tftp("\x00\x01kernel\x00octet\x00") == "\x00\x03\x00\x01an image" })
				for what, ask := range map[string]string{"outside": "\x00\x01/etc/passwd\x00octet\x00", "a write": "\x00\x02new\x00octet\x00"} {
					if got := m.tftp(ask); !strings.HasPrefix(got, "\x00\x05") {
						m.Errorf("%s: %q", what, got)
					}
				}
				m.stays("tftpd")
			})
		})
	}
}

// tftp sends one request and returns the first packet of the answer.
func (m *machine) tftp(request string) string {
	m.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(m.T, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	_, err = c.WriteTo([]byte(request), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 69})
	must(m.T, err)
	buffer := make([]byte, 600)
	n, _, err := c.ReadFrom(buffer)
	if err != nil {
		return err.Error()
	}
	return string(buffer[:n])
}

func TestShippedSuperServerEchoesAndReadsItsFileAgain(t *testing.T) {
	for _, kind := range []string{applets, debian} {
		t.Run(kind[len("/mnt/"):], func(t *testing.T) {
			shipped(t, kind, func(m *machine) {
				if kind == debian {
					m.put("/etc/init.d/openbsd-inetd", "") // what tells it from busybox's
				}
				m.put("/etc/inetd.conf", "echo stream tcp nowait root internal\n")
				m.boot()
				m.do("start", "inetd")
				c := m.dial(7)
				m.talk(c, "anybody there?", "anybody there?\r\n")
				c.Close() // its process ignores TERM while somebody may talk
				m.put("/etc/services", "echo 7/tcp\nother 4321/tcp\n")
				m.put("/etc/inetd.conf", "other stream tcp nowait root /bin/echo echo other\n")
				m.do("reload-service", "inetd")
				text, err := io.ReadAll(m.dial(4321))
				if must(m.T, err); string(text) != "other\n" {
					m.Errorf("after the reload: %q", text)
				}
				m.stays("inetd")
			})
		})
	}
}

func TestShippedNameServerAnswersAndReadsHostsAgain(t *testing.T) {
	shippedAsRoot(t, debian, func(m *machine) {
		m.put("/etc/dnsmasq.conf", "user=nobody\nno-resolv\nlisten-address=127.0.0.1\nbind-interfaces\naddress=/router.test/192.0.2.7\n")
		m.boot()
		m.do("start", "dnsmasq")
		resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:53")
		}}
		says := func(name, want string) {
			m.Helper()
			m.Until(name+" is "+want, func() bool {
				ctx, done := context.WithTimeout(context.Background(), time.Second)
				defer done()
				got, err := resolver.LookupHost(ctx, name)
				return err == nil && strings.Join(got, " ") == want
			})
		}
		says("router.test.", "192.0.2.7")
		m.put("/etc/hosts", "192.0.2.8 printer.test\n")
		m.do("reload-service", "dnsmasq")
		says("printer.test.", "192.0.2.8")
		if log := strings.Join(m.Get("dnsmasq").LogTail, "\n"); !strings.Contains(log, "started, version") {
			m.Errorf("its log is elsewhere:\n%s", log)
		}
		m.stays("dnsmasq")
	})
}
