package svlogd

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hotsvc/internal/livetest"
)

// transcript is what Debian's svlogd and ours are given alike.
type transcript struct {
	name   string
	args   []string // before the directory, which is called log
	config string
	before files    // in the directory
	closed bool     // what is in before has the modes of files that were closed well
	inputs []string // one run after the other
}

var many = func() string {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "line number %d %s\n", i, strings.Repeat("x", i%70))
	}
	return b.String()
}()

var transcripts = []transcript{
	{name: "no stamp", inputs: []string{"one\n\ntwo\n"}},
	{name: "tai64n", args: []string{"-t"}, inputs: []string{"one\n\ntwo\n"}},
	{name: "human", args: []string{"-tt"}, inputs: []string{"one\n\ntwo\n"}},
	{name: "iso", args: []string{"-t", "-tt"}, inputs: []string{"one\n\ntwo\n"}},
	{name: "four t", args: []string{"-tttt"}, inputs: []string{"one\n"}},
	{name: "nothing comes", inputs: []string{""}},
	{name: "nul and binary", inputs: []string{"a\x00b\xff\x80\r\n"}},
	{name: "replace", args: []string{"-r", "."}, inputs: []string{"\ta\x01b\x7f\x80 ~c\xff\n"}},
	{name: "replace a set", args: []string{"-Rabc"}, inputs: []string{"\tabc\x01cd \n"}},
	{name: "replace both", args: []string{"-R", "o", "-r:"}, inputs: []string{"foo\tbar\n"}},
	{name: "replace before matching", args: []string{"-r", "."}, config: "-a.b\n", inputs: []string{"a\tb\na b\n"}},
	{name: "long line", args: []string{"-tt"}, inputs: []string{strings.Repeat("abc", 1000) + "\nshort\n"}},
	{name: "line of exactly len", config: "e*\n", inputs: []string{strings.Repeat("a", 1000) + "\n" + strings.Repeat("b", 1001) + "\n" + strings.Repeat("c", 999) + "\n"}},
	{name: "len", args: []string{"-l", "5", "-b6"}, config: "-*\n+aaaaa\n", inputs: []string{"aaaaab\naaaa\naaaaa\n"}},
	{name: "prefix", args: []string{"-t"}, config: "ppre: \ne*\n", inputs: []string{"one\n"}},
	{name: "select", config: "-*\n+*: b*\n-*: bad*\n", inputs: []string{"x: a\nx: b\nx: bad\nno\n"}},
	{name: "to stderr", args: []string{"-tt"}, config: "eerror*\nEerror: not*\n-*: quiet\n", inputs: []string{"error: a\nerror: not so\nfine\nerror: quiet\n"}},
	{name: "comments and nothing", config: "# a comment\n\n#\nn3\n", inputs: []string{"one\n"}},
	{name: "config longer than 127 bytes", config: "#" + strings.Repeat(" long", 60) + "\npyes \n", inputs: []string{"one\n"}},
	{name: "config without newline", config: "pyes ", inputs: []string{"one\n"}},
	{name: "rotate by size", args: []string{"-tt"}, config: "s2000\n", inputs: []string{many}},
	{name: "rotate, k", config: "s2k\nn4\n", inputs: []string{many}},
	{name: "rotate, keep all", config: "s1500\nn0\n", inputs: []string{many}},
	{name: "keep one", config: "s2000\nn1\n", inputs: []string{many}},
	{name: "size below len", config: "s500\n", inputs: []string{many}},
	{name: "size equal to len", config: "s1000\n", inputs: []string{"one\ntwo\nthree\n"}},
	{name: "long lines cut by size", config: "s3000\n", inputs: []string{strings.Repeat(strings.Repeat("abcdefg", 300)+"\n", 7)}},
	{name: "a line longer than the file", config: "s2500\nn0\n", inputs: []string{strings.Repeat("0123456789", 1000) + "\nshort\n"}},
	{name: "never by size", config: "s0\n", inputs: []string{many}},
	{name: "in m", config: "s1m\n", inputs: []string{many}},
	{name: "clean restarts", args: []string{"-t"}, config: "s2000\n", inputs: []string{many[:1000], many[1000:2000] + "\n", many}},
	{name: "unclean current", before: files{"current": "left\n"}, inputs: []string{"one\n"}},
	{name: "empty unclean current", before: files{"current": ""}, inputs: []string{"one\n"}},
	{name: "clean current", before: files{"current": "kept\n"}, closed: true, inputs: []string{"one\n"}},
	{name: "clean current without end", before: files{"current": "kept"}, closed: true, inputs: []string{"one\n"}},
	{name: "old files count", closed: true, config: "s1100\nn3\n", before: files{
		"@4000000050000000000000aa.s": "a\n", "@4000000050000000000000ab.u": "b\n", "@40000000500000000000ab.s": "not a name\n", "other": "o\n"},
		inputs: []string{strings.Repeat("y", 200) + "\n"}},
	{name: "processor", config: "s1200\n!tr a-z A-Z\n", inputs: []string{strings.Repeat(strings.Repeat("y", 250)+"\n", 1)}},
	{name: "processor with state", config: "s1200\n!cat >/dev/null; read n <&4; echo run $n; echo $((n + 1)) >&5\n", inputs: []string{
		strings.Repeat("y", 300) + "\n", strings.Repeat("z", 300) + "\n", strings.Repeat("w", 300) + "\n"}},
	{name: "processor, its directory and input", config: "s1200\n!basename $PWD; ls lock; cat\n", inputs: []string{strings.Repeat("y", 300) + "\n"}},
}

// TestOracleTranscripts: directories of Debian's svlogd and of ours are told
// apart by nothing but time.
func TestOracleTranscripts(t *testing.T) {
	programs := map[string]string{"theirs": theirs(t), "ours": ours(t)}
	for _, tr := range transcripts {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			for who, program := range programs {
				got[who] = tr.play(t, program)
			}
			if diff := cmp.Diff(got["theirs"], got["ours"]); diff != "" {
				t.Errorf("theirs (-) and ours (+) differ:\n%s", diff)
			}
		})
	}
}

// play runs a transcript and shows what there is afterwards.
func (tr transcript) play(t *testing.T, program string) string {
	t.Helper()
	cwd := quick(t)
	log := write(t, filepath.Join(cwd, "log"), tr.before)
	if tr.config != "" {
		write(t, log, files{"config": tr.config})
	}
	for name := range tr.before {
		if tr.closed {
			if err := os.Chmod(filepath.Join(log, name), 0o744); err != nil {
				t.Fatal(err)
			}
		}
	}
	var b strings.Builder
	for _, input := range tr.inputs {
		o := feed(t, program, cwd, input, append(tr.args, "log")...)
		fmt.Fprintf(&b, "exit %d\nstderr %s\n", o.exit, stamps.ReplaceAllString(o.stderr, "TIME "))
	}
	return b.String() + describe(t, log)
}

// rounds is fewer when the test is only to be shown to run.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// TestOraclePatterns: random patterns fit random lines here as there.
func TestOraclePatterns(t *testing.T) {
	programs := [2]string{theirs(t), ours(t)}
	random := rand.New(rand.NewPCG(4, 2))
	word := func(letters string, longest int) string {
		b := make([]byte, random.IntN(longest+1))
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		return string(b)
	}
	for range rounds(40) {
		line := word("aab *+", 9)
		dirs, configs := []string{}, []string{}
		for i := range 25 {
			pattern := word("aab+**", 6)
			if strings.HasSuffix(pattern, "+") {
				pattern += "a" // what follows a plus at the end is not a pattern's
			}
			dirs = append(dirs, fmt.Sprint(i))
			configs = append(configs, fmt.Sprintf("-*\n+%s\n", pattern))
		}
		var fits [2][]bool
		for who, program := range programs {
			cwd := quick(t)
			for i, d := range dirs {
				write(t, filepath.Join(cwd, d), files{"config": configs[i]})
			}
			feed(t, program, cwd, line+"\n", dirs...)
			for _, d := range dirs {
				st, err := os.Stat(filepath.Join(cwd, d, "current"))
				if err != nil {
					t.Fatal(err)
				}
				fits[who] = append(fits[who], st.Size() > 0)
			}
		}
		for i := range dirs {
			if fits[0][i] != fits[1][i] {
				t.Errorf("pattern %q on %q: theirs %v, ours %v", configs[i][4:], line, fits[0][i], fits[1][i])
			}
		}
	}
}

// TestOracleRandomRotation: random lines and sizes make the same files.
func TestOracleRandomRotation(t *testing.T) {
	programs := [2]string{theirs(t), ours(t)}
	random := rand.New(rand.NewPCG(7, 7))
	for round := range rounds(60) {
		kind := random.IntN(3)
		tr := transcript{args: [][]string{nil, {"-t"}, {"-ttt", "-l50", "-b100"}}[kind]}
		least := []int{1, 1001, 51}[kind] // so that no stamp is cut
		tr.config = fmt.Sprintf("s%d\nn%d\n", least+random.IntN(3000), random.IntN(7))
		for range 1 + random.IntN(3) {
			var b strings.Builder
			for i := range random.IntN(60) {
				fmt.Fprintf(&b, "%d %s\n", i, strings.Repeat("x", random.IntN(1+random.IntN(1500))))
			}
			tr.inputs = append(tr.inputs, b.String())
		}
		if diff := cmp.Diff(tr.play(t, programs[0]), tr.play(t, programs[1])); diff != "" {
			t.Fatalf("round %d, %q %q: theirs (-) and ours (+) differ:\n%s", round, tr.args, tr.config, diff)
		}
	}
}

// TestOracleFullDisk: the same rotated files go for the same lines, down to N.
func TestOracleFullDisk(t *testing.T) {
	livetest.Namespace(t, func(t *testing.T) {
		got := map[string]string{}
		for who, program := range map[string]string{"theirs": theirs(t), "ours": ours(t)} {
			cwd := t.TempDir()
			if err := unix.Mount("tmpfs", cwd, "tmpfs", 0, "size=64k"); err != nil {
				t.Skipf("no small disk here: %v", err)
			}
			defer unix.Unmount(cwd, unix.MNT_DETACH)
			page := strings.Repeat("x", 4095) + "\n"
			log := write(t, filepath.Join(cwd, "log"), files{"config": "N2\n"})
			for i := range 5 {
				write(t, log, files{fmt.Sprintf("@4000000050000000000000a%d.s", i): page})
			}
			os.WriteFile(filepath.Join(cwd, "filler"), make([]byte, 64<<10), 0o644) // as far as it goes
			o := feed(t, program, cwd, page+strings.Repeat("y\n", 3000), "log")
			got[who] = fmt.Sprint(o.exit, describe(t, log))
		}
		if diff := cmp.Diff(got["theirs"], got["ours"]); diff != "" || !strings.Contains(got["ours"], "== @2.s") || strings.Contains(got["ours"], "== @3.s") {
			t.Errorf("theirs (-) and ours (+) differ:\n%s", diff)
		}
	})
}
