package backhand

import "hotsvc/internal/compat"

// setState makes a file hold a value. Its exit status says whether it had
// another.
func setState(c *compat.Call) int {
	if len(c.Args) != 2 {
		complain(c, "usage: state FILE VALUE")
		return wrongCall
	}
	status, value := unchanged, c.Args[1]
	err := update(c.Args[0], int64(len(value))+1, func(old string) (string, error) {
		if old != value {
			status = changed
		}
		return value, nil
	})
	if err != nil {
		complain(c, err.Error())
		return broken
	}
	return status
}
