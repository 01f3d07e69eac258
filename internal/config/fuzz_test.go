package config

import (
	"testing"

	"hotsvc/internal/toml"
)

// FuzzSettings: what is accepted means the same when it is printed; what is wrong
// keeps its default.
func FuzzSettings(f *testing.F) {
	f.Add(DefaultSettings().String())
	f.Add("udev = 'no'\nlog = 'debug'\nsocket_group = ''\nrules = ['/a']\nservices = ['runit:/etc/sv', '/b']\ndamping = false")
	f.Add("udev = 1\nrules = ['a', {}]\nservices = ['x:/y']\n[damping]\nhalf_life = '0s'")
	f.Fuzz(func(t *testing.T, text string) {
		s, problems := ParseSettings("f", []byte(text), DefaultSettings())
		again, wrong := ParseSettings("f", []byte(s.String()), DefaultSettings())
		if toml.HasErrors(wrong) || again.String() != s.String() {
			t.Fatalf("%s\nthen\n%s\n%v", s, again, wrong)
		}
		if len(problems) == 0 && s.Udev == "" {
			t.Error("udev is nothing")
		}
	})
}
