package vm_test

import (
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// mac80211_hwsim's commands and attributes, as in its header.
const (
	newRadio  = 4
	delRadio  = 5
	radioName = 17
)

// guest is what this binary does inside the machine: radios come and go by
// netlink, for which no program is at hand.
func guest(verb, name string) int {
	if err := radio(verb, name); err != nil {
		fmt.Fprintln(os.Stderr, "radio:", err)
		return 1
	}
	return 0
}

func radio(verb, name string) error {
	command := map[string]uint8{"plug": newRadio, "pull": delRadio}[verb]
	if command == 0 {
		return fmt.Errorf("no verb %q", verb)
	}
	c, err := genetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	family, err := c.GetFamily("MAC80211_HWSIM")
	if err != nil {
		return err
	}
	data, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: radioName, Data: append([]byte(name), 0)}})
	if err != nil {
		return err
	}
	// For the transcript.
	if log, err := os.OpenFile("/run/radio.log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		fmt.Fprintln(log, time.Now().UTC().Format(time.RFC3339Nano), verb)
		log.Close()
	}
	// NEW_RADIO acknowledges with the radio's number in the place of an error,
	// so it is only sent.
	_, err = c.Send(genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}, Data: data}, family.ID, netlink.Request)
	return err
}
