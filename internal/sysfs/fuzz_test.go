package sysfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// device makes a sysfs with one device below another, and a secret beside them.
func device(t testing.TB, uevent string) *Tree {
	root := t.TempDir()
	dir := filepath.Join(root, "devices/a/b")
	for name, text := range map[string]string{
		"devices/a/b/uevent": uevent, "devices/a/uevent": "", "devices/a/idVendor": "1d6b\n", "devices/a/b/power/control": "auto\n", "secret": "secret",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"driver": "../../secret", "out": root} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return &Tree{Root: root}
}

// FuzzUevent: whatever stands in a device's uevent file, its words are words, and
// their values one can write in a rule.
func FuzzUevent(f *testing.F) {
	f.Add("MAJOR=189\nDEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\n")
	f.Add("DEVNAME=/dev/x\nDEVNAME=\nKERNEL=x\nPARENT=y\nSEQNUM=1\nA=b=c\n=x\na=b\nX=\x1b[31m\nY=\xff")
	tree := device(f, "")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(tree.Root+"/devices/a/b/uevent", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := tree.Read("/devices/a/b")
		if err != nil {
			t.Fatal(err)
		}
		if d.Words.Get("DEVPATH") != "/devices/a/b" || d.Words.Get("KERNEL") != "b" || d.Words.Get("PARENT") != "a" || d.Words.Get("DRIVER") != "secret" {
			t.Errorf("%q takes another's place: %v", text, d.Words)
		}
		for word, values := range d.Words {
			if !IsWord(word) || len(values) == 0 {
				t.Errorf("word %q: %q", word, values)
			}
			for _, v := range values {
				if v == "" && word != "DEVNAME" || strings.ContainsFunc(v, func(r rune) bool {
					return unicode.IsControl(r) && r != '\t' || r == unicode.ReplacementChar && !strings.ContainsRune(text, r)
				}) {
					t.Errorf("%s is %q", word, v)
				}
			}
		}
	})
}

// FuzzAttr: no name of an attribute leads out of the device.
func FuzzAttr(f *testing.F) {
	for _, name := range []string{"power/control", "../../secret", "out/secret", "driver", "/secret", "power/../../../../secret", "a\x00b", "."} {
		f.Add(name)
	}
	tree := device(f, "A=b")
	f.Fuzz(func(t *testing.T, name string) {
		value, ok := tree.Attr(tree.Root+"/devices/a/b", name)
		if (value == "secret") != (name == "driver") || !ok && value != "" && printable(value) {
			t.Errorf("%q is %q", name, value)
		}
	})
}
