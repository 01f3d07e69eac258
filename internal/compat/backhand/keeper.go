package backhand

import (
	"syscall"
	"time"
)

// keeper keeps a child running: it launches it again whenever it has ended.
type keeper struct {
	name   string // of the program
	launch func() (*child, error)
	log    func(format string, args ...any)
	gap    time.Duration // at least, between one launch and the next
	grace  time.Duration // for the child to end itself, then it is killed
}

// child is a process that was launched.
type child struct {
	signal func(syscall.Signal)
	ended  <-chan string // says once how
}

// run returns when it was told to stop and there is no child any more.
func (k *keeper) run(stop <-chan struct{}) {
	for !closed(stop) {
		next := time.Now().Add(k.gap)
		k.log("launching child %s", k.name)
		c, err := k.launch()
		if err == nil {
			select {
			case how := <-c.ended:
				k.log("%s", how)
			case <-stop:
				k.end(c)
				return
			}
		} else {
			k.log("cannot run %s: %v", k.name, err)
		}
		select {
		case <-stop:
		case <-time.After(time.Until(next)):
		}
	}
}

// end ends a child: politely, then not.
func (k *keeper) end(c *child) {
	k.log("terminating child")
	c.signal(syscall.SIGTERM)
	select {
	case how := <-c.ended:
		k.log("%s", how)
		return
	case <-time.After(k.grace):
	}
	k.log("killing child")
	c.signal(syscall.SIGKILL)
	k.log("%s", <-c.ended)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
