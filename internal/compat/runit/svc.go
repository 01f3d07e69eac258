package runit

import (
	"fmt"
	"strings"

	"hotsvc/internal/compat"
)

// order is the one in which svc tells what it was given, whatever that was.
const order = "udopchaitkx"

const usageSVC = "usage: %s [-udopchaitkx] service_dir ...\n"

// svc tells services what each letter says, one letter after the other, until
// one fails. It says nothing when all is well.
func svc(c *compat.Call) int {
	args, letters := c.Args, ""
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "-" {
			break
		}
		letters += word
	}
	if len(args) == 0 || letters == "" || strings.Trim(letters, order) != "" {
		fmt.Fprintf(c.Err, usageSVC, c.Name)
		return 1
	}
	for _, letter := range order {
		if !strings.ContainsRune(letters, letter) {
			continue
		}
		r := &run{out: c.Out}
		cmd := command{letters: string(letter), goal: byte(letter)}
		if r.do(cmd, args) != 0 {
			return 1
		}
	}
	return 0
}

const (
	exitDead    = 100 // svok: nobody supervises it
	exitMissing = 111 // svok: there is no such directory
)

// svok tells by its exit status whether a service is supervised.
func svok(c *compat.Call) int {
	if len(c.Args) != 1 {
		fmt.Fprintf(c.Err, "usage: %s service_dir\n", c.Name)
		return 1
	}
	by, _, err := find(c.Args[0], false)
	if err != nil {
		fmt.Fprintf(c.Err, "%s: %s: %v\n", c.Name, c.Args[0], err)
		return exitMissing
	}
	if _, ours := by.(hotsvc); ours {
		return 0
	}
	if by.(directory).alive() != nil {
		return exitDead
	}
	return 0
}
