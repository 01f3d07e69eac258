package livetest

import (
	"os"
	"testing"
)

func TestNamespaceShowsItsOwnLinks(t *testing.T) {
	Namespace(t, func(t *testing.T) {
		links, err := os.ReadDir("/sys/class/net")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if l.Name() != "lo" {
				t.Errorf("a new network namespace has %s", l.Name())
			}
		}
		if os.Getuid() != 0 {
			t.Errorf("uid %d, want 0", os.Getuid())
		}
	})
}

func TestNamespaceInASubtest(t *testing.T) {
	for _, name := range []string{"plain", "a.b (c) [d]"} {
		t.Run(name, func(t *testing.T) {
			Namespace(t, func(t *testing.T) {})
		})
	}
}
