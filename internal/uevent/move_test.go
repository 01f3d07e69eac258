package uevent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"hotsvc/internal/object"
)

func TestAMoveTakesTheSubtreeAlong(t *testing.T) {
	const to = "/devices/pci0000:00/0000:00:02.0/usb1/1-2"
	root := sys(t, stick)
	table, e := listed(t, root)
	before := e.get(tty).Life
	if err := os.Rename(root+usb, root+to); err != nil {
		t.Fatal(err)
	}
	table.Apply(event("change", port)) // something to tell before the move
	table.Apply(event("move", to, "DEVPATH_OLD="+usb, "SUBSYSTEM=usb"))
	tell(e, table)
	compare(t, e, table)
	moved := to + strings.TrimPrefix(tty, usb)
	o := e.get(moved)
	if o == nil || e.get(tty) != nil || o.Life.Incarnation != before.Incarnation {
		t.Fatalf("after the move: %+v", o)
	}
	if got := e.get(to + "/1-1:1.0").Words.Get("PARENT"); got != "1-2" {
		t.Errorf("PARENT = %q", got)
	}
	moves := 0
	for _, r := range e.reports {
		moves += len(r.Batch.Moves)
	}
	if moves != 1 {
		t.Errorf("%d moves for one subtree", moves)
	}
}

func TestALostMoveIsFoundByTheList(t *testing.T) {
	const to = "/devices/pci0000:00/0000:00:02.0/usb1/1-2"
	root := sys(t, stick)
	table, e := listed(t, root)
	if err := os.Rename(root+usb, root+to); err != nil {
		t.Fatal(err)
	}
	if err := table.List(true); err != nil {
		t.Fatal(err)
	}
	tellAll(e, table)
	compare(t, e, table)
	last := e.reports[len(e.reports)-1].Batch
	if want := (object.Move{From: usb, To: to}); !slices.Equal(last.Moves, []object.Move{want}) {
		t.Errorf("moves %v, want %v", last.Moves, want)
	}
}

// Two devices change names within one batch of events.
func TestAMoveOntoANameThatBecameFree(t *testing.T) {
	table, e := newTable("/nonexistent"), &engine{}
	table.Apply(event("add", "/devices/v/a"))
	table.Apply(event("add", "/devices/v/b"))
	tell(e, table)
	a, b := e.get("/devices/v/a").Life, e.get("/devices/v/b").Life
	table.Apply(event("remove", "/devices/v/b"))
	table.Apply(event("move", "/devices/v/b", "DEVPATH_OLD=/devices/v/a"))
	table.Apply(event("add", "/devices/v/a"))
	tell(e, table)
	compare(t, e, table)
	if o := e.get("/devices/v/b"); o == nil || o.Life.Incarnation != a.Incarnation {
		t.Errorf("b is %+v, a was %+v", o, a)
	}
	if o := e.get("/devices/v/a"); o == nil || o.Life.Incarnation == a.Incarnation || o.Life.Incarnation == b.Incarnation {
		t.Errorf("a is %+v", o)
	}
}

// A walk of random events, told in random portions: the engine always knows
// what the table has.
func TestRandomEventsAreToldRight(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 3))
		table, e := newTable("/nonexistent"), &engine{}
		path := func() string {
			p := "/devices/" + string(rune('a'+r.IntN(3)))
			for range r.IntN(3) {
				p += "/" + string(rune('x'+r.IntN(2)))
			}
			return p
		}
		for range 60 {
			switch p := path(); r.IntN(6) {
			case 0, 1:
				table.Apply(event("add", p, fmt.Sprintf("N=%d", r.IntN(3))))
			case 2:
				table.Apply(event("remove", p))
			case 3:
				table.Apply(event("change", p, fmt.Sprintf("N=%d", r.IntN(3))))
			case 4:
				if from := path(); !strings.HasPrefix(p+"/", from+"/") && !strings.HasPrefix(from+"/", p+"/") {
					table.Apply(event("move", p, "DEVPATH_OLD="+from))
				}
			case 5:
				if r.IntN(4) == 0 {
					_ = table.List(r.IntN(2) == 0)
					tellAll(e, table)
				} else {
					tell(e, table)
				}
				compare(t, e, table)
			}
		}
		tell(e, table)
		compare(t, e, table)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
