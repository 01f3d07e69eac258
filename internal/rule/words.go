package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hotsvc/internal/object"
	"hotsvc/internal/toml"
)

// wordType says which values a word has.
type wordType uint8

const (
	isText   wordType = iota + 1
	isFlag            // true or false
	isNumber          // compares by value
	isMaybe           // a text, and false where there is none
)

type word struct {
	name string
	is   wordType
	// state: changes while the link stays what it is. The rest is identity.
	state bool
	// flaps: a carrier loss, even an unseen one, may have changed it for a while.
	flaps bool
}

var linkWords = []word{
	{name: "name", is: isText},
	{name: "index", is: isNumber},
	{name: "altname", is: isText},
	{name: "kind", is: isText},
	{name: "type", is: isText},
	{name: "mac", is: isText},
	{name: "permaddr", is: isText},
	{name: "physical", is: isFlag},
	{name: "wireless", is: isFlag},
	{name: "iftype", is: isText},
	{name: "foreign", is: isFlag},
	{name: "mtu", is: isNumber, state: true},
	{name: "master", is: isMaybe, state: true},
	{name: "flags", is: isText, state: true},
	{name: "up", is: isFlag, state: true},
	{name: "carrier", is: isFlag, state: true, flaps: true},
	{name: "running", is: isFlag, state: true, flaps: true},
	{name: "dormant", is: isFlag, state: true, flaps: true},
	{name: "operstate", is: isText, state: true, flaps: true},
	{name: "ssid", is: isText, state: true, flaps: true},
	{name: "associated", is: isFlag, state: true, flaps: true},
	{name: "address4", is: isMaybe, state: true, flaps: true},
	{name: "address6", is: isMaybe, state: true, flaps: true},
	{name: "linklocal4", is: isMaybe, state: true, flaps: true},
	{name: "default4", is: isMaybe, state: true, flaps: true},
	{name: "default6", is: isMaybe, state: true, flaps: true},
}

var mountWords = []word{
	{name: "target", is: isText},
	{name: "source", is: isText},
	{name: "fstype", is: isText},
	{name: "options", is: isText},
	{name: "ro", is: isFlag},
}

var clockWords = []word{{name: "synchronized", is: isFlag}}

// Devices have any word that looks like one; these are for suggestions.
var deviceWords = []string{
	"SUBSYSTEM", "KERNEL", "DEVNAME", "DEVTYPE", "DRIVER", "DEVPATH", "PARENT", "MAJOR", "MINOR",
	"ID_BUS", "ID_VENDOR_ID", "ID_MODEL_ID", "ID_SERIAL_SHORT", "ID_USB_INTERFACE_NUM",
	"PRODUCT", "MODALIAS", "INTERFACE", "IFINDEX", "DISKSEQ", "PARTN",
}

// Keys that tell of an event, not of a device.
var eventKeys = []string{"ACTION", "SEQNUM", "HOTPLUG", "DISK_MEDIA_CHANGE", "DEVPATH_OLD"}

// Keys of udev's rules that look like properties and are none, and what to write.
var udevKeys = map[string]string{
	"KERNELS":    `write KERNEL for the device's own name, PARENT for that of the one above, "ATTRS{…}" for what any above has`,
	"SUBSYSTEMS": "write SUBSYSTEM, which is the device's own",
	"DRIVERS":    "write DRIVER, which is the device's own",
	"SYMLINK":    "write DEVNAME, which is the kernel's name of the node",
	"TAG":        "leave it out, for tags are udevd's",
	"TAGS":       "leave it out, for tags are udevd's",
	"ENV":        "write the property itself, such as ID_BUS",
}

// unlikely says why no device will have a word, although one could, or "".
func unlikely(name string) string {
	if slices.Contains(deviceWords, name) || !deviceWord.MatchString(name) {
		return ""
	}
	if instead := udevKeys[name]; instead != "" {
		return fmt.Sprintf("%s is a key of udev's rules, not a property of devices: %s", name, instead)
	}
	if guess := toml.Slip(name, deviceWords); guess != "" && len(name) > 4 {
		return fmt.Sprintf("the kernel tells no %s of devices; did you mean %s?", name, guess)
	}
	if strings.HasPrefix(name, "ID_") {
		return name + " is made by udevd alone, and hotsvc does not ask it: use ID_BUS, ID_VENDOR_ID, ID_MODEL_ID, ID_SERIAL_SHORT, ID_USB_INTERFACE_NUM or an ATTRS{…}"
	}
	return ""
}

var (
	deviceWord = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	attrWord   = regexp.MustCompile(`^ATTRS?\{[^{}]+\}$`)
	envWord    = regexp.MustCompile(`^ENV\{([^{}]+)\}$`)
)

func words(kind object.Kind) []word {
	switch kind {
	case object.Link:
		return linkWords
	case object.Mount:
		return mountWords
	case object.Clock:
		return clockWords
	}
	return nil
}

func find(kind object.Kind, name string) (word, bool) {
	all := words(kind)
	i := slices.IndexFunc(all, func(w word) bool { return w.name == name })
	if i < 0 {
		return word{}, false
	}
	return all[i], true
}

// article is the kind with its article, for messages.
func article(kind object.Kind) string {
	if kind == object.Clock {
		return "the clock"
	}
	return "a " + string(kind)
}

// lookup finds a word of a kind of object. Where there is no such word it says
// why, and what may be meant.
func lookup(kind object.Kind, name string) (w word, wrong string) {
	if w, ok := find(kind, name); ok {
		return w, ""
	}
	hasDevice := kind == object.Device || kind == object.Link // a link has the words of the device beneath
	switch {
	case slices.Contains(eventKeys, name) || strings.HasPrefix(name, "SYNTH_"):
		return word{}, name + " tells of an event, and a rule is about what is there: leave it out"
	case (name == "ATTR" || name == "ATTRS") && hasDevice:
		return word{}, fmt.Sprintf(`%s needs the attribute's name: write "%s{idVendor}"`, name, name)
	case deviceWord.MatchString(name) || attrWord.MatchString(name):
		if hasDevice {
			return word{name: name, is: isText}, ""
		}
		return word{}, fmt.Sprintf("%s is a word of devices and links: %s has none", name, article(kind))
	case envWord.MatchString(name):
		return word{}, fmt.Sprintf("write %s for udev's %s", envWord.FindStringSubmatch(name)[1], name)
	}
	// What another program calls one of this kind's words comes before what
	// another kind calls its own.
	if guess := aliases[kind][name]; guess != "" {
		return word{}, fmt.Sprintf("%s has no word %q; did you mean %s?", article(kind), name, guess)
	}
	for _, other := range object.Kinds {
		if _, ok := find(other, name); ok {
			owner := string(other) + "s"
			if other == object.Clock {
				owner = "the clock"
			}
			return word{}, fmt.Sprintf("%s is a word of %s: write object = %q, or leave it out", name, owner, other)
		}
	}
	wrong = fmt.Sprintf("%s has no word %q", article(kind), name)
	if guess := suggest(kind, name); guess != "" {
		wrong += "; did you mean " + guess + "?"
	}
	return word{}, wrong
}

// Names that other programs have for the same thing.
var aliases = map[object.Kind]map[string]string{
	object.Link: {
		"interface": "name", "iface": "name", "ifname": "name", "dev": "name", "device": "name", "ifindex": "index",
		"address": "mac", "hwaddr": "mac", "macaddress": "mac", "bridge": "master", "link": "carrier", "essid": "ssid",
		"wifi": "wireless", "wlan": "wireless",
	},
	object.Device: {
		"name": "KERNEL", "dev": "DEVNAME", "node": "DEVNAME", "path": "DEVPATH", "class": "SUBSYSTEM",
		"vendor": "ID_VENDOR_ID", "product": "ID_MODEL_ID", "model": "ID_MODEL_ID", "serial": "ID_SERIAL_SHORT",
		"idVendor": "ATTR{idVendor}", "idProduct": "ATTR{idProduct}",
	},
	object.Mount: {"path": "target", "dir": "target", "mountpoint": "target", "device": "source", "type": "fstype"},
	object.Clock: {"synced": "synchronized", "sync": "synchronized", "ntp": "synchronized"},
}

// suggest guesses the word that somebody meant, or "".
func suggest(kind object.Kind, name string) string {
	if guess := aliases[kind][strings.ToLower(name)]; guess != "" {
		return guess
	}
	var candidates []string
	if kind == object.Device {
		candidates = deviceWords
	}
	for _, w := range words(kind) {
		candidates = append(candidates, w.name)
	}
	return toml.Nearest(name, candidates)
}

// IsWord tells whether objects of any kind can have a word of that name.
func IsWord(name string) bool {
	for _, kind := range object.Kinds {
		if _, wrong := lookup(kind, name); wrong == "" {
			return true
		}
	}
	return false
}

// NoRef says that {name} is a word of no kind of object, and what may be meant.
func NoRef(name string) string { return braced(noWord(name)) }

// noWord says that objects of no kind have a word of that name, and what may be
// meant.
func noWord(name string) string {
	wrong := fmt.Sprintf("no object has a word %q", name)
	for _, kind := range []object.Kind{object.Link, object.Mount, object.Clock, object.Device} {
		if guess := suggest(kind, name); guess != "" {
			return wrong + "; did you mean " + guess + "?"
		}
	}
	return wrong
}
