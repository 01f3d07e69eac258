package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FuzzFstab: each mount point is waited for once, and a mount point that is
// written as fstab(5) wants it is read as it is.
func FuzzFstab(f *testing.F) {
	f.Add("LABEL=x /data ext4 defaults 0 2\n# /no x\n/dev/b /a\\040b\\134 vfat noauto,user\nproc /proc proc\n", "/a b")
	f.Add("a b c\na b c\n\x00 \\ \n", "/\\040")
	f.Fuzz(func(t *testing.T, text, target string) {
		targets := Fstab(text)
		if n := strings.Count(text, "\n") + 1; len(targets) > n || len(slices.Compact(slices.Sorted(slices.Values(targets)))) != len(targets) {
			t.Fatalf("%q of %d lines", targets, n)
		}
		written := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(target)
		if f := strings.Fields(written); len(f) != 1 || f[0] != written || target == "none" || target == "swap" {
			return // nothing, or white space for which fstab has no form
		}
		if got := Fstab(fmt.Sprintf("/dev/x %s ext4\n", written)); !slices.Equal(got, []string{target}) {
			t.Fatalf("%q written as %q is read as %q", target, written, got)
		}
	})
}

// FuzzLiteral: a text from outside that is made literal stays what it is, whatever
// stands in it.
func FuzzLiteral(f *testing.F) {
	f.Add("{instance}")
	f.Add("{{a}${b} {")
	f.Add("${instance}{")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReplaceWords([]string{Literal(text)}, func(w string) (string, bool) { return "WORD", true })
		if err != nil || got[0] != text {
			t.Fatalf("%q is %q, which says %q: %v", text, Literal(text), got, err)
		}
	})
}

// FuzzNames: what is a name of a service is one for files, and its parts make it
// again.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "dhcp@wan0", "t@", "a@b@c", "@x", "getty@/dev/tty0", ".x", "-x", strings.Repeat("x", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != "" {
			return
		}
		if template, instance := Split(name); template+instance != name || IsTemplate(template) == (instance == "") {
			t.Errorf("%q is split into %q and %q", name, template, instance)
		}
		if file := FileName(name); len(file) > 255 || strings.ContainsRune(file, '/') {
			t.Errorf("%q needs a file %q", name, file)
		}
	})
}
