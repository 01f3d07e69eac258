package backhand

import (
	"errors"
	"fmt"
	"strconv"

	"hotsvc/internal/compat"
)

// digits is how long a count can be.
const digits = 9

// semaphore counts up or down in a file. Its exit status says whether the first
// has come or the last has gone.
func semaphore(c *compat.Call) int {
	if len(c.Args) != 2 || c.Args[1] != "+" && c.Args[1] != "-" {
		complain(c, "usage: semaphore FILE +|-")
		return wrongCall
	}
	status := unchanged
	err := update(c.Args[0], digits+1, func(old string) (string, error) {
		n, err := parseCount(old)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.Args[0], err)
		}
		if c.Args[1] == "+" {
			n++
			if n == 1 {
				status = changed
			}
		} else {
			n = max(n-1, 0)
			if n == 0 {
				status = changed
			}
		}
		text := strconv.Itoa(n)
		if len(text) > digits {
			return "", fmt.Errorf("%s: cannot count beyond %d digits", c.Args[0], digits)
		}
		return text, nil
	})
	if err != nil {
		complain(c, err.Error())
		return broken
	}
	return status
}

// parseCount reads what semaphore has written: nothing, or digits alone.
func parseCount(text string) (int, error) {
	if len(text) > digits {
		return 0, errors.New("too long for a count")
	}
	n := 0
	for _, d := range []byte(text) {
		if d < '0' || d > '9' {
			return 0, fmt.Errorf("%q is no count", text)
		}
		n = 10*n + int(d-'0')
	}
	return n, nil
}
