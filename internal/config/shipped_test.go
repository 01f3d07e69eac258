package config

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/match"
	"hotsvc/internal/object"

	shippedrules "hotsvc/rules"
	shippedservices "hotsvc/services"
)

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		has   map[string]string
		argv0 string
		notes []string
	}{
		{nil, "udhcpc", []string{"dhcp@: no program for it is installed; udhcpc would be one"}},
		{map[string]string{"udhcpc": "/sbin/udhcpc", "dhclient": "/sbin/dhclient", "/etc/udhcpc/default.script": "x", "avahi-autoipd": "/b/a"}, "udhcpc",
			[]string{"dhcp@: udhcpc found at /sbin/udhcpc"}},
		{map[string]string{"busybox": "/bin/busybox", "dhclient": "/sbin/dhclient", "avahi-autoipd": "/b/a"}, "dhclient",
			[]string{"dhcp@: dhclient found at /sbin/dhclient"}},
		{map[string]string{"busybox": "/bin/busybox", "avahi-autoipd": "/b/a"}, "busybox",
			[]string{"dhcp@: busybox found at /bin/busybox", "dhcp@: busybox finds no script at /usr/share/udhcpc/default.script or /etc/udhcpc/default.script or /etc/hotsvc/udhcpc.script: it will set nothing up"}},
		{map[string]string{"busybox": "/bin/busybox", "/etc/hotsvc/udhcpc.script": "x", "zcip": "/b/z", "/etc/zcip.script": "x"}, "busybox -s",
			[]string{"dhcp@: busybox found at /bin/busybox"}},
		{map[string]string{"udhcpc": "/sbin/udhcpc", "busybox": "/bin/busybox", "dhcpcd": "/sbin/dhcpcd", "avahi-autoipd": "/b/a"}, "dhcpcd",
			[]string{"dhcp@: dhcpcd found at /sbin/dhcpcd"}},
		{map[string]string{"udhcpc": "/sbin/udhcpc", "dhcpcd": "/sbin/dhcpcd", "/etc/hotsvc/udhcpc.script": "x", "avahi-autoipd": "/b/a"}, "udhcpc -s",
			[]string{"dhcp@: udhcpc found at /sbin/udhcpc"}},
	} {
		in := input(nil, nil)
		in.Find = func(name string) string { return c.has[name] }
		got, problems := Load(in)
		if len(problems) > 0 {
			t.Fatal(lines(problems))
		}
		start := got.Service("dhcp@x").Exec.Start
		argv0, script, _ := strings.Cut(c.argv0, " ")
		if !slices.Equal(got.Notes, c.notes) || start[0] != argv0 || slices.Contains(start, "-s") != (script != "") {
			t.Errorf("%v: %q, %q", c.has, got.Notes, got.Service("dhcp@x").Exec.Start)
		}
	}
}

// The examples are right too.
func TestExamples(t *testing.T) {
	c, problems := Load(rooted(os.DirFS("../../rules/examples")))
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	if len(c.Rules) != 10 {
		t.Error(c.Rules)
	}
}

// What is shipped says what it is, and waits until a rule or a person wants it.
func TestShippedServicesAreThereAndWait(t *testing.T) {
	c, problems := Load(input(nil, nil))
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	for _, name := range []string{"dhcp-pinger@", "dhcp@", "dhcpd@", "dnsmasq", "ftpd", "fw", "getty@", "gpm", "httpd", "inetd", "nmeter", "ntpd", "supplicant@", "tftpd", "zeroconf@"} {
		def := c.Services[name]
		if def == nil {
			t.Errorf("no %s", name)
			continue
		}
		if def.Policy.StartAtBoot || def.Description == "" || strings.HasSuffix(name, "@") != strings.Contains(def.Description, "{instance}") {
			t.Errorf("%s: %+v", name, def)
		}
	}
}

// Every shipped file must be right, without as much as a warning, whichever
// variant is chosen.
func TestShipped(t *testing.T) {
	for _, v := range shippedservices.Variants {
		in := input(nil, nil)
		in.Find = func(name string) string {
			if name == v.Program || slices.Contains(v.Scripts, name) {
				return "/bin/" + v.Program
			}
			return ""
		}
		c, problems := Load(in)
		if len(problems) > 0 {
			t.Errorf("%s: %s", v.File, lines(problems))
		}
		if got := c.Services[strings.TrimSuffix(v.Service, suffix)].Pos.File; got != "built-in/services/"+v.File {
			t.Errorf("%s: %s was taken", v.File, got)
		}
	}
	listed := map[string]bool{}
	for _, v := range shippedservices.Variants {
		listed[v.File] = true
	}
	files, err := fs.Glob(shippedservices.FS, "variants/*")
	if err != nil || !slices.Equal(files, slices.Sorted(maps.Keys(listed))) {
		t.Errorf("%v and the list of variants differ: %v", files, err)
	}
	if rules, _ := fs.Glob(shippedrules.FS, "*.toml"); len(rules) != 2 {
		t.Error(rules)
	}
}

type link object.Words

func (r link) Values(word string) ([]string, bool) {
	v, present := r[word]
	return v, !present || v != nil
}

// TestShippedRules says which links the shipped rules care for.
func TestShippedRules(t *testing.T) {
	c, _ := Load(input(nil, nil))
	wired := link{"name": {"wan0"}, "type": {"ether"}, "physical": {"true"}, "wireless": {"false"}, "running": {"true"}}
	with := func(base link, pairs ...string) link {
		r := maps.Clone(base)
		for i := 0; i < len(pairs); i += 2 {
			r[pairs[i]] = []string{pairs[i+1]}
		}
		return r
	}
	wifi := with(wired, "wireless", "true", "iftype", "station", "ssid", "home", "associated", "true")
	asking := maps.Clone(wifi) // nl80211 did not answer yet
	asking["ssid"], asking["associated"] = nil, nil
	noSource := maps.Clone(wired)
	noSource["foreign"] = nil
	for what, want := range map[string]struct {
		link  link
		rules string
	}{
		"wired":           {wired, "wired-dhcp"},
		"no carrier":      {with(wired, "running", "false"), ""},
		"bridge port":     {with(wired, "master", "br0"), ""},
		"foreign":         {with(wired, "foreign", "true"), ""},
		"bridge":          {with(wired, "physical", "false"), ""},
		"wifi":            {wifi, "wifi-supplicant wifi-dhcp"},
		"wifi, no AP":     {with(wifi, "running", "false", "associated", "false"), "wifi-supplicant"},
		"wifi, no keys":   {with(wifi, "running", "false"), "wifi-supplicant"},
		"wifi, is the AP": {with(wifi, "iftype", "ap", "associated", "false"), "wifi-supplicant"},
		"wifi, asking":    {asking, "wifi-supplicant"},
		"ppp":             {with(wired, "type", "ppp"), ""},
		"foreign unknown": {noSource, ""},
	} {
		var got []string
		for i := range c.Rules {
			if c.Rules[i].Match.Eval(want.link, nil) == match.Yes {
				got = append(got, c.Rules[i].Name)
			}
		}
		if strings.Join(got, " ") != want.rules {
			t.Errorf("%s: %v, want %s", what, got, want.rules)
		}
	}
	if w := c.Rules[0]; !w.LinkUp || w.Linger.String() != "5s" || !w.ReadsState() {
		t.Errorf("%+v", w)
	}
}
