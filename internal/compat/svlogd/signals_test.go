package svlogd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotsvc/internal/livetest"
)

// each runs a story with Debian's svlogd and with ours.
func each(t *testing.T, story func(t *testing.T, program string)) {
	t.Helper()
	t.Run("theirs", func(t *testing.T) { t.Parallel(); story(t, theirs(t)) })
	t.Run("ours", func(t *testing.T) { t.Parallel(); story(t, ours(t)) })
}

// TestTermEndsCleanly: what has been read is logged, and the status is 0.
func TestTermEndsCleanly(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		cwd := t.TempDir()
		log := write(t, filepath.Join(cwd, "log"), nil)
		r := start(t, nil, program, cwd, "log")
		r.print("one\ntwo\n")
		has(t, log, "one", "two")
		r.signal(syscall.SIGTERM)
		if exit := r.exit(); exit != 0 {
			t.Errorf("exit %d", exit)
		}
		if got := describe(t, log); !strings.HasPrefix(got, "== current -rwxr--r--\none\ntwo\n") {
			t.Errorf("left:\n%s", got)
		}
	})
}

// TestAlarmRotates what there is, and nothing where there is nothing.
func TestAlarmRotates(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		cwd := t.TempDir()
		a, b := write(t, filepath.Join(cwd, "a"), nil), write(t, filepath.Join(cwd, "b"), files{"config": "-*\n"})
		r := start(t, nil, program, cwd, "a", "b")
		r.print("one\n")
		has(t, a, "one")
		r.signal(syscall.SIGALRM)
		livetest.Until(t, "a is rotated", func() bool { return rotated(t, a) == 1 })
		r.print("two\n")
		has(t, a, "one", "two")
		r.in.Close()
		if exit := r.exit(); exit != 0 {
			t.Errorf("exit %d", exit)
		}
		if n := rotated(t, b); n != 0 {
			t.Errorf("the empty log has %d rotated files", n)
		}
		if got, want := describe(t, a), "== @1.s -rwxr--r--\none\n== current -rwxr--r--\ntwo\n== lock -rw-------\n"; got != want {
			t.Errorf("left:\n%s", got)
		}
	})
}

func rotated(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "@*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestHangupReadsTheConfigurationAgain and tries a directory again that was not
// usable.
func TestHangupReadsTheConfigurationAgain(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		cwd := t.TempDir()
		a := write(t, filepath.Join(cwd, "a"), nil)
		r := start(t, nil, program, cwd, "a", "late")
		r.print("one\n")
		has(t, a, "one")
		write(t, a, files{"config": "pnew: \n"})
		late := write(t, filepath.Join(cwd, "late"), nil)
		r.signal(syscall.SIGHUP)
		livetest.Until(t, "the late directory is locked", func() bool {
			_, err := os.Stat(filepath.Join(late, "current"))
			return err == nil
		})
		r.print("two\n")
		has(t, a, "one", "new: two")
		has(t, late, "two")
		os.Rename(a, filepath.Join(cwd, "gone"))
		os.Rename(late, filepath.Join(cwd, "gone too"))
		r.signal(syscall.SIGHUP)
		if exit := r.exit(); exit != 111 {
			t.Errorf("no directory is left: exit %d", exit)
		}
	})
}

// TestOldLogIsRotated: by age, without anything more to write.
func TestOldLogIsRotated(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		cwd := t.TempDir()
		log := write(t, filepath.Join(cwd, "log"), files{"config": "t1\n"})
		r := start(t, nil, program, cwd, "-tt", "log")
		r.print("one\n")
		has(t, log, "one")
		livetest.Until(t, "it is rotated", func() bool { return rotated(t, log) == 1 })
		r.print("two\n")
		has(t, log, "one", "two")
		r.in.Close()
		if exit := r.exit(); exit != 0 {
			t.Errorf("exit %d", exit)
		}
	})
}

// TestNobodyElseMayWrite: of two svlogds on a directory, the second goes without.
func TestNobodyElseMayWrite(t *testing.T) {
	programs := []string{theirs(t), ours(t)}
	for i, first := range programs {
		for j, second := range programs {
			cwd := t.TempDir()
			write(t, filepath.Join(cwd, "other"), nil)
			log := write(t, filepath.Join(cwd, "log"), nil)
			r := start(t, nil, first, cwd, "log")
			livetest.Until(t, "it is open", func() bool { _, err := os.Stat(filepath.Join(log, "current")); return err == nil })
			if o := feed(t, second, cwd, "x\n", "log"); o.exit != 111 || !strings.Contains(o.stderr, "lock") {
				t.Errorf("%d after %d: %+v", j, i, o)
			}
			if o := feed(t, second, cwd, "x\n", "log", "other"); o.exit != 0 || !strings.Contains(o.stderr, "warning") {
				t.Errorf("%d after %d, with another: %+v", j, i, o)
			}
			has(t, filepath.Join(cwd, "other"), "x")
			r.in.Close()
			r.exit()
		}
	}
}

// TestUsage: what is not understood is said, with the status of the real one.
func TestUsage(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		cwd := t.TempDir()
		write(t, filepath.Join(cwd, "log"), nil)
		for _, args := range [][]string{{}, {"-x", "log"}, {"-r", "ab", "log"}, {"-r"}, {"-l", "100", "-b", "100", "log"}, {"-t"}, {"missing"}, {"--", "missing"}} {
			if o := feed(t, program, cwd, "", args...); o.exit != 111 || o.stderr == "" {
				t.Errorf("%q: %+v", args, o)
			}
		}
	})
}

// TestTheyTakeTurns: Debian's svlogd and ours append to and rotate the same
// directory, in turn, and no line is missing or twice.
func TestTheyTakeTurns(t *testing.T) {
	programs := []string{theirs(t), ours(t)}
	cwd := t.TempDir()
	log := write(t, filepath.Join(cwd, "log"), files{"config": "s2000\nn0\n"})
	var want []string
	for round := range 20 {
		var b strings.Builder
		for i := range 20 {
			line := fmt.Sprintf("round %d line %d %s", round, i, strings.Repeat("z", 17*round%300))
			want = append(want, line)
			b.WriteString(line + "\n")
		}
		if o := feed(t, programs[round%2], cwd, b.String(), "-t", "log"); o.exit != 0 || o.stderr != "" {
			t.Fatalf("round %d: %+v", round, o)
		}
	}
	if got := lines(t, log); !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d: %q", len(got), len(want), got)
	}
	if n := rotated(t, log); n < 20 {
		t.Errorf("only %d rotations", n)
	}
}

// TestLinesThroughUDP: with u also to the directory, with U only there.
func TestLinesThroughUDP(t *testing.T) {
	got := map[string]string{}
	each := map[string]string{"theirs": theirs(t), "ours": ours(t)}
	for who, program := range each {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		cwd := t.TempDir()
		write(t, filepath.Join(cwd, "u"), files{"config": "ppre \nu" + conn.LocalAddr().String() + "\n-no*\n"})
		write(t, filepath.Join(cwd, "U"), files{"config": "U" + conn.LocalAddr().String() + "\n"})
		feed(t, program, cwd, "one\nno\n"+strings.Repeat("l", 1500)+"\n", "-tt", "u", "U")
		var b strings.Builder
		var came []string
		buf := make([]byte, 4096)
		for range 5 {
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			came = append(came, stamps.ReplaceAllString(string(buf[:n]), "TIME "))
		}
		slices.Sort(came)
		b.WriteString(strings.Join(came, ""))
		for _, dir := range []string{"u", "U"} {
			b.WriteString(describe(t, filepath.Join(cwd, dir)))
		}
		got[who] = strings.ReplaceAll(b.String(), conn.LocalAddr().String(), "ADDRESS")
	}
	if got["theirs"] != got["ours"] {
		t.Errorf("theirs:\n%s\nours:\n%s", got["theirs"], got["ours"])
	}
}
